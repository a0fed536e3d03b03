"""String: text and bytes that change in place, and as files."""

import copy
import io
import pickle

import pytest

import mpshm

WIDE = "\U0001f600"


def test_what_it_is_made_of(manager):
    """str makes text, bytes-like objects bytes; it stays what it is."""
    assert manager.string() == ""
    assert manager.string("abc") == "abc"
    for source in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
        made = manager.string(source)
        assert made == b"abc"
        assert made.is_bytes
        with pytest.raises(TypeError, match="bytes-like"):
            made.append("d")
    with pytest.raises(TypeError, match="takes str"):
        manager.string("abc").append(b"d")
    for bad in (5, None, [1]):
        with pytest.raises(TypeError):
            manager.string(bad)
    assert mpshm.String(mpshm.String("x")) == "x"


@pytest.mark.parametrize("part", ["a", "\xe9", "\u20ac", WIDE, "\udc80"])
def test_widths(manager, part):
    """Text is as wide as it must be, and none of it is lost when something wider comes."""
    made = manager.string("abc" * 30)
    made.append(part)
    made.insert(3, part)
    made[0] = part
    expected = part + "bc" + part + "abc" * 29 + part
    assert made == expected
    assert made[3] == part
    made[:] = "narrow"
    assert made == "narrow"


def test_items(manager):
    """Characters of a text are str of one character, of bytes they are numbers."""
    text, data = manager.string("hello"), manager.string(b"hello")
    assert (text[0], text[-1], text[1:3], text[::2]) == ("h", "o", "el", "hlo")
    assert (data[0], data[-1], data[1:3], data[::2]) == (104, 111, b"el", b"hlo")
    text[0], data[0] = "J", 74
    text[-1:], data[-1:] = "OOO", b"OOO"
    text[1:3:1], data[1:3] = "", b""
    del text[0], data[0]
    assert (text, data) == ("lOOO", b"lOOO")
    text[::2], data[::2] = "xy", b"xy"
    assert (text, data) == ("xOyO", b"xOyO")
    del text[::3], data[-1]
    assert (text, data) == ("Oy", b"xOy")
    for place in (9, -9):
        with pytest.raises(IndexError):
            _ = text[place]
        with pytest.raises(IndexError):
            text[place] = "x"
        with pytest.raises(IndexError):
            del text[place]
    for bad in ("ab", "", 5):
        with pytest.raises(TypeError):
            text[0] = bad
    with pytest.raises(ValueError, match="byte must be in range"):
        data[0] = 256
    with pytest.raises(TypeError):
        data[0] = b"x"


def test_changes(manager):
    """append, +=, insert, pop, replace, *=, clear."""
    text = manager.string("abc")
    text += "def"
    text.append("!")
    text.insert(-1, "?")
    text.insert(99, ".")
    assert text == "abcdef?!."
    assert text.pop() == "."
    assert text.pop(0) == "a"
    text.replace("d", "DD")
    text.replace("D", "x", 1)
    assert text == "bcxDef?!"
    text *= 2
    assert len(text) == 16
    text.clear()
    assert text == ""
    with pytest.raises(IndexError, match="pop from empty string"):
        text.pop()
    data = manager.string(b"ab")
    data += b"c"
    data.append(100)
    data.extend([101, 102])
    data.insert(0, 1)
    assert data == b"\x01abcdef"


def test_itself_as_an_argument(manager):
    """A String wherever str or bytes would do."""
    text = manager.string("ab")
    text += text
    text.insert(1, text)
    assert text == "aababbab"
    assert text in text
    assert text.find(manager.string("bb")) == 4
    assert text + text == "aababbab" * 2
    assert "x" + text == "xaababbab"


@pytest.mark.parametrize("content", ["Some text, with Words", b"Some text, with Words"])
def test_looking_is_as_on_the_plain_one(manager, content):
    """Every method of str and bytes that only looks gives what the plain one's gives."""
    made = manager.string(content)
    part = content[5:6]
    for name in ("upper", "title", "strip", "split", "splitlines", "isalpha", "swapcase", "capitalize"):
        assert getattr(made, name)() == getattr(content, name)()
    for name in ("find", "rfind", "index", "count", "startswith", "endswith", "partition", "rsplit", "removeprefix"):
        assert getattr(made, name)(part) == getattr(content, name)(part)
    assert made.center(40) == content.center(40)
    assert part in made
    assert list(made) == list(content)
    assert list(reversed(made)) == list(reversed(content))
    assert made * 2 == content * 2
    assert made < made.upper().lower()
    assert made == content
    assert made >= content
    assert made != content[1:]
    assert len(made) == len(content)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = made.nothing


def test_one_kind_of_methods_only(manager):
    """What only str or only bytes has is there for that kind."""
    text, data = manager.string("a\xe9"), manager.string(b"ab")
    assert text.encode() == "a\xe9".encode()
    assert text.casefold() == "a\xe9"
    assert data.decode() == "ab"
    assert data.hex() == "6162"
    assert not hasattr(text, "decode")
    assert not hasattr(data, "encode")
    assert bytes(data) == b"ab"
    with pytest.raises(TypeError, match="encode"):
        bytes(text)
    assert f"{text:>5}" == "   a\xe9"
    assert manager.string("%s!") % "x" == "x!"


def test_comparison(manager):
    """By content with the same kind, never with the other; not hashable."""
    text = manager.string("b")
    assert text == manager.string("b")
    assert text != b"b"
    assert text != 5
    assert "a" < text < "c"
    assert manager.string(b"b") == bytearray(b"b")
    with pytest.raises(TypeError):
        _ = text < b"c"
    with pytest.raises(TypeError):
        hash(text)


def test_room(manager):
    """capacity, reserve(), shrink_to_fit(); small ones take no block."""
    made = manager.string("abc", capacity=1000)
    assert made.capacity >= 1000
    made.shrink_to_fit()
    assert made.capacity == 48
    assert made == "abc"
    blocks = manager.segment.stats().blocks
    made.append("x" * 40)
    assert manager.segment.stats().blocks == blocks
    made.append("x" * 40)
    assert manager.segment.stats().blocks == blocks + 1
    made.reserve(5000)
    made.clear()
    assert made.capacity >= 5000
    made.shrink_to_fit()
    assert manager.segment.stats().blocks == blocks
    with pytest.raises(ValueError, match="number of characters"):
        made.reserve(-1)


def test_shown_and_copied(manager):
    """str() is the text, repr names the object; copies are plain; a pickle is a handle."""
    made = manager.string("abc")
    assert str(made) == "abc"
    assert str(manager.string(b"abc")) == "b'abc'"
    assert "typeid 'string'" in repr(made)
    assert type(copy.deepcopy(made)) is str
    again = pickle.loads(pickle.dumps(made))
    again.append("d")
    assert made == "abcd"
    assert manager.dict(s=made)["s"] == "abcd"


def test_a_file_of_bytes(manager):
    """open() of bytes is a raw file that grows, and can be wrapped as one."""
    made = manager.string(b"0123456789")
    with made.open() as file:
        assert isinstance(file, io.RawIOBase)
        assert file.readable()
        assert file.writable()
        assert file.seekable()
        assert file.read(4) == b"0123"
        assert file.write(b"AB") == 2
        assert file.seek(-1, io.SEEK_END) == 9
        file.write(b"xyz")
        assert file.tell() == 12
        file.seek(14)
        file.write(b"!")
        assert file.truncate(15) == 15
        file.seek(1)
        assert file.readall() == made[1:]
    assert made == b"0123AB678xyz\0\0!"
    with pytest.raises(ValueError, match="closed"):
        file.read()
    with made.open("w") as file:
        file.write(b"one\ntwo\n")
        with pytest.raises(io.UnsupportedOperation):
            file.read()
    with io.BufferedReader(made.open("r")) as file:
        assert file.readlines() == [b"one\n", b"two\n"]
        with pytest.raises(io.UnsupportedOperation):
            file.raw.write(b"x")
    with made.open("ab") as file:
        file.write(b"three")
        file.seek(0)
        file.write(b"!")
    assert made == b"one\ntwo\nthree!"
    with pytest.raises(ValueError, match="negative"):
        made.open().seek(-1)


def test_a_file_of_text(manager):
    """open() of text is a text file, with positions in characters."""
    made = manager.string("caf\xe9\n")
    with made.open("r+t") as file:
        assert isinstance(file, io.TextIOBase)
        assert file.readline() == "caf\xe9\n"
        print("na\xefve", WIDE, file=file)
        file.seek(0)
        assert list(file) == ["caf\xe9\n", f"na\xefve {WIDE}\n"]
        assert file.read() == ""
        file.seek(3)
        assert file.read(2) == "\xe9\n"
        with pytest.raises(TypeError):
            file.write(b"x")
        file.truncate(4)
        file.seek(6)
        file.write("x")
    assert made == "caf\xe9\0\0x"


@pytest.mark.parametrize("mode", ["x", "rb", "rw", "", "r++", "rtt"])
def test_modes_that_are_none(manager, mode):
    """ValueError, as open()'s."""
    with pytest.raises(ValueError, match="invalid mode"):
        manager.string("text").open(mode)
