/** Random numbers, from what both a page without TLS and Node have. */

/** From 0 to less than 1. */
export function fraction(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] as number) / 2 ** 32;
}

/** 96 random bits in some 25 characters. */
export function randomId(): string {
  return [0, 0, 0].map(() => fraction().toString(36).slice(2)).join('');
}
