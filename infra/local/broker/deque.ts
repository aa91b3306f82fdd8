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
    this.grow();
    this.items[this.slot(this.count)] = item;
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

  /** Puts the item before the first one that `isAfter` holds for, where it holds for all behind that too. */
  insertBefore(item: T, isAfter: (other: T) => boolean): void {
    this.grow();
    let index = 0;
    for (let end = this.count; index < end; ) {
      const middle = (index + end) >>> 1;
      if (isAfter(this.items[this.slot(middle)] as T)) end = middle;
      else index = middle + 1;
    }
    // Room is made on the shorter side: a returned message mostly belongs near the front.
    if (index <= this.count / 2) {
      this.head = this.slot(-1);
      for (let at = 0; at < index; at += 1) this.items[this.slot(at)] = this.items[this.slot(at + 1)];
    } else {
      for (let at = this.count; at > index; at -= 1) this.items[this.slot(at)] = this.items[this.slot(at - 1)];
    }
    this.items[this.slot(index)] = item;
    this.count += 1;
  }

  private slot(index: number): number {
    return (this.head + index) & (this.items.length - 1);
  }

  private grow(): void {
    if (this.count < this.items.length) return;
    const size = this.items.length;
    const larger = new Array<T | undefined>(size * 2);
    for (let index = 0; index < size; index += 1) larger[index] = this.items[this.slot(index)];
    this.items = larger;
    this.head = 0;
  }
}
