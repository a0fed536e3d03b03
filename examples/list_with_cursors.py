"""A linked list, and cursors that stay at their items whatever comes and goes around them."""

import mpshm as mp


def append(todo: mp.LinkedList, done: mp.LinkedList) -> None:
    """Another process changes both ends."""
    todo.appendleft("wake up")
    todo.append("sleep")
    done.append("yesterday")


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    todo = segment.construct(mp.LinkedList, "todo", ["wash", "work", "rest"])
    done = segment.construct(mp.LinkedList, "done")
    work = todo.find("work")
    worker = mp.Process(target=append, args=(todo, done))
    worker.start()
    worker.join()
    work.insert_before("eat")
    print(list(todo), "the cursor is at", work.value)
    done.splice(done.end(), todo, todo.begin(), work)  # all before `work` move over, in one step
    print(list(todo), list(done))
    after = work.erase()
    print(after.value, after.next().value, after.next().next().at_end)

# prints:
# ['wake up', 'wash', 'eat', 'work', 'rest', 'sleep'] the cursor is at work
# ['work', 'rest', 'sleep'] ['yesterday', 'wake up', 'wash', 'eat']
# rest sleep True
