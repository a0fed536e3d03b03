"""Objects that are made step by step: they are gone if a step fails, and kept if all went well."""

import mpshm as mp


def load(segment: mp.AnonymousSegment, name: str, lines: list[str]) -> None:
    """Make a table from text, and give it a name when it is whole."""
    scope = segment.scoped(mp.Dict)
    with scope as table:
        for line in lines:
            key, value = line.split("=")
            table[key] = int(value)
        scope.keep(name)


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    segment.construct(mp.List, "first")
    objects = segment.stats().objects
    try:
        load(segment, "broken", ["a=1", "b=two"])
    except ValueError as error:
        print("failed:", error)
    print(segment.find("broken"), "nothing is left:", segment.stats().objects == objects)
    loader = mp.Process(target=load, args=(segment, "table", ["a=1", "b=2"]))
    loader.start()
    loader.join()
    print(segment["table"])

# prints:
# failed: invalid literal for int() with base 10: 'two'
# None nothing is left: True
# {'a': 1, 'b': 2}
