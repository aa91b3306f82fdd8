/**
 * A double-ended queue in a ring: constant time at both ends however long it is, where an array's shift is
 * linear.
 */

export class Deque<T> {
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

  /** Puts the item before the first one that `isAfter` holds for, looking from the front. */
  insertBefore(item: T, isAfter: (other: T) => boolean): void {
    this.grow();
    let index = 0;
    while (index < this.count && !isAfter(this.items[this.slot(index)] as T)) index += 1;
    // What lies before it moves one to the front: a returned message belongs near there.
    this.head = (this.head - 1 + this.items.length) % this.items.length;
    for (let at = 0; at < index; at += 1) this.items[this.slot(at)] = this.items[this.slot(at + 1)];
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
    for (let index = 0; index < size; index += 1) larger[index] = this.items[(this.head + index) % size];
    this.items = larger;
    this.head = 0;
  }
}
