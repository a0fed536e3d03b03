"""Shared containers in shared containers: kept by reference, at any depth, and all in one segment."""

import mpshm as mp


def enrol(courses: mp.Dict, course: str, names: list[str]) -> None:
    """Change what is inside of what is inside."""
    for name in names:
        courses[course]["names"].append(name)
        courses[course].incr("size")


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    courses = segment.construct(mp.Dict, "courses")
    for course in ("art", "biology"):
        courses[course] = segment.construct(mp.Dict, size=0, names=segment.construct(mp.List))
    workers = [
        mp.Process(target=enrol, args=(courses, "art", ["Ann", "Bob"])),
        mp.Process(target=enrol, args=(courses, "biology", ["Cid"])),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for course, content in courses.items():
        print(course, content["size"], content["names"][:])
    deep = mp.share({"a": {"b": [1, 2]}})  # dicts and lists, and those in them, as shared ones
    deep["a"]["b"].append(3)
    print(deep["a"]["b"][:])

# prints:
# art 2 ['Ann', 'Bob']
# biology 1 ['Cid']
# [1, 2, 3]
