/**
 * A double-ended queue in a ring: constant time at both ends however long it is, where an array's shift is
 * linear.
 */

export class Deque<T> {
  /** As many as a power of two, for `slot`. */
  private items: (T | undefined)[] = new Array(16);
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): void {
    this.makeRoomFor(1);
    this.put(this.count, item);
    this.count += 1;
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head = this.slot(1);
    this.count -= 1;
    if (this.count === 0 && this.items.length > 4096) {
      this.items = new Array(16);
      this.head = 0;
    }
    return item;
  }

  /**
   * Merges items in their order into a deque that is in that order. Only what lies ahead of the last of them moves, or
   * what lies behind the first, whichever is less.
   */
  merge(incoming: readonly T[], isBefore: (a: T, b: T) => boolean): void {
    const [first] = incoming;
    const last = incoming.at(-1);
    if (first === undefined || last === undefined) return;
    this.makeRoomFor(incoming.length);
    const ahead = this.search((item) => !isBefore(item, last));
    const behind = this.count - this.search((item) => isBefore(first, item));
    if (ahead <= behind) this.mergeFromFront(incoming, isBefore);
    else this.mergeFromBack(incoming, isBefore);
  }

  private mergeFromFront(incoming: readonly T[], isBefore: (a: T, b: T) => boolean): void {
    this.head = this.slot(-incoming.length);
    this.count += incoming.length;
    let from = incoming.length;
    let to = 0;
    for (const item of incoming) {
      for (; from < this.count && isBefore(this.at(from), item); from += 1) this.put(to++, this.at(from));
      this.put(to++, item);
    }
  }

  private mergeFromBack(incoming: readonly T[], isBefore: (a: T, b: T) => boolean): void {
    let from = this.count - 1;
    this.count += incoming.length;
    let to = this.count - 1;
    for (const item of [...incoming].reverse()) {
      for (; from >= 0 && isBefore(item, this.at(from)); from -= 1) this.put(to--, this.at(from));
      this.put(to--, item);
    }
  }

  /** The index of the first that it holds for, where it holds for all behind that too. */
  private search(holds: (item: T) => boolean): number {
    let index = 0;
    for (let end = this.count; index < end; ) {
      const middle = (index + end) >>> 1;
      if (holds(this.at(middle))) end = middle;
      else index = middle + 1;
    }
    return index;
  }

  private at(index: number): T {
    return this.items[this.slot(index)] as T;
  }

  private put(index: number, item: T): void {
    this.items[this.slot(index)] = item;
  }

  private slot(index: number): number {
    return (this.head + index) & (this.items.length - 1);
  }

  private makeRoomFor(more: number): void {
    let size = this.items.length;
    if (this.count + more <= size) return;
    while (size < this.count + more) size *= 2;
    const larger = new Array<T | undefined>(size);
    for (let index = 0; index < this.count; index += 1) larger[index] = this.at(index);
    this.items = larger;
    this.head = 0;
  }
}
