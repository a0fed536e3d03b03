"""register() and proxies: the same program on the stdlib's managers and on ours."""

import copy
from multiprocessing import managers as stdlib

import pytest
from users_classes import MANAGERS, Account

from mpshm import managers as ours

BASES = {"stdlib": stdlib, "mpshm": ours}


# What programs import.
NAMES = (
    "AcquirerProxy",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BaseManager",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "NamespaceProxy",
    "PoolProxy",
    "RemoteError",
    "SharedMemoryManager",
    "SyncManager",
    "Token",
    "ValueProxy",
    "all_methods",
    "public_methods",
)


@pytest.fixture(params=["stdlib", "mpshm"])
def which(request):
    return request.param


@pytest.fixture
def manager(which):
    with MANAGERS[which][0]() as made:
        yield made


@pytest.fixture
def full(which):
    with MANAGERS[which][1]() as made:
        yield made


def test_public_methods_are_exposed(manager):
    """Without `exposed`, what does not begin with an underscore; nothing else is there."""
    account = manager.Account(5, owner="me")
    names = ("pay_in", "get", "history", "_audit", "balance", "__len__")
    assert [name for name in names if hasattr(account, name)] == ["pay_in", "get", "history"]
    assert account.get() == 5
    assert account.pay_in(3) == 8 == account.get()


def test_state_stays(manager):
    """Each call sees what the calls before it did; keywords are passed on."""
    account = manager.Account(balance=1)
    for _ in range(5):
        account.pay_in(2, times=3)
    assert account.get() == 31
    assert account.history() == [1, 2, 2, 2, 2, 2]


def test_exposed_is_all_there_is(manager):
    """With `exposed`, exactly these; private ones too."""
    odd = manager.Odd(7)
    assert [name for name in ("pay_in", "get", "_audit") if hasattr(odd, name)] == ["get", "_audit"]
    assert odd._audit() == "audited"


@pytest.mark.parametrize("name", ["_audit", "nothing", "__len__"])
def test_what_is_not_exposed_is_refused(manager, name):
    """RemoteError, which is one class for both."""
    account = manager.Account()
    with pytest.raises(stdlib.RemoteError, match="not in exposed"):
        account._callmethod(name)
    assert ours.RemoteError is stdlib.RemoteError


def test_exceptions_come_as_they_are(manager):
    """Type and arguments; what was changed before the exception is changed."""
    account = manager.Account(5)
    with pytest.raises(ValueError) as caught:
        account.pay_out(7)
    assert caught.value.args == ("overdrawn", -2)
    assert account.get() == -2
    with pytest.raises(TypeError):
        account.pay_in()


def test_results_are_copies(manager):
    """What a method gives back is the caller's own."""
    account = manager.Account(1)
    account.history().append("mine")
    assert account.history() == [1]
    value = account._getvalue()
    value.pay_in(5)
    assert type(value) is Account and account.get() == 1
    assert type(copy.deepcopy(account)) is Account


def test_text(manager):
    """repr names the proxy and the typeid, str is the object's repr, or says that there is none."""
    account = manager.Account(5)
    assert repr(account).startswith("<AutoProxy[Account] object, typeid 'Account' at 0x")
    assert str(account) == "Account(5)"
    assert repr(manager.Person("A")).startswith("<PersonProxy object, typeid 'Person' at 0x")
    assert "'__str__()' failed>" in str(manager.Silent())


def test_made_proxy_type(manager):
    """MakeProxyType gives a class with these methods, special ones too."""
    account = manager.Made(4)
    account.pay_in(1)
    assert len(account) == 2 and account.get() == 5
    assert account._exposed_ == ("pay_in", "get", "__len__")
    assert not hasattr(account, "history")


def test_namespace_proxy(manager):
    """A subclass of NamespaceProxy: attributes and methods."""
    person = manager.Person("Ada")
    assert person.name == "Ada" and person.greet() == "Ada greets you" and person.greet(other="all") == "Ada greets all"
    person.name = "Bob"
    person.age = 3
    assert person.greet("me") == "Bob greets me" and person.age == 3
    del person.age
    with pytest.raises(AttributeError):
        person.age
    person._mine = 1
    assert person._mine == 1
    assert not hasattr(person._getvalue(), "_mine")


def test_generator(manager):
    """An iterator that does not pickle, used where it was made."""
    walk = manager.squares()
    assert next(walk) == 0
    assert list(walk) == [i * i for i in range(1, 10)]
    with pytest.raises(StopIteration):
        next(walk)


def test_module(manager):
    """A function may give out a module: its functions are called."""
    functions = manager.math()
    assert functions.sqrt(16) == 4 and functions.gcd(12, 18) == 6
    with pytest.raises(ValueError):
        functions.sqrt(-1)


def test_without_a_method(manager):
    """create_method=False: the manager has none."""
    assert not hasattr(manager, "hidden")


def test_without_a_callable(full, which):
    """A type without a callable takes one object, which is shared; other arguments are refused."""
    given = full.given(Account(3))
    assert given.pay_in(1) == 4 and given.get() == 4
    refusal = stdlib.RemoteError if which == "stdlib" else ValueError
    for args in ((), (1, 2)):
        with pytest.raises(refusal, match="Without callable, must have one non-keyword argument"):
            full.given(*args)


def test_results_that_become_shared(full):
    """method_to_typeid: the result is a new shared object of that type, also of the built-in ones."""
    typed = full.Typed(2, owner="me")
    history = typed.history()
    history.append(3)
    assert history[:] == [2, 3] and repr(history).find("typeid 'list'") > 0
    found = typed.by_owner()
    found["you"] = 1
    assert found.copy() == {"me": 2, "you": 1}
    assert list(typed.walk()) in ([2], [2, 3])  # the stdlib's list is the object's own; ours is another
    assert typed.get().get() == 2


def test_tables_are_each_class_own(which):
    """A subclass begins with a copy of its base's types; what it registers is its own."""
    manager_class = MANAGERS[which][0]

    class Sub(manager_class):
        pass

    Sub.register("Extra", Account)
    assert "Extra" in Sub._registry and "Account" in Sub._registry and "Extra" not in manager_class._registry
    assert not hasattr(manager_class, "Extra")
    with Sub() as manager:
        assert manager.Extra(1).get() == manager.Account(1).get() == 1


@pytest.mark.parametrize("bad", [{1: "list"}, {"get": 1}])
def test_bad_method_to_typeid(which, bad):
    """AssertionError, at once."""
    with pytest.raises(AssertionError, match="is not a string"):
        MANAGERS[which][0].register("Bad", Account, method_to_typeid=bad)


def test_before_start(which):
    """AssertionError, as for the built-in types."""
    with pytest.raises(AssertionError, match="server not yet started"):
        MANAGERS[which][0]().Account()


def test_lifetime(manager):
    """The object ends with its last proxy."""
    before = manager._number_of_objects()
    account = manager.Account()
    assert manager._number_of_objects() == before + 1
    assert manager._debug_info()
    del account
    assert manager._number_of_objects() == before


def test_names_for_programs(which):
    """What programs import from multiprocessing.managers is there."""
    base = BASES[which]
    for name in NAMES:
        assert hasattr(base, name), name
    assert base.public_methods([]) == [name for name in dir([]) if name[0] != "_"]
