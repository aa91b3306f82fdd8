/** A client library's frame as that of one that reads no batches. */
export function withoutBatches(frame: string): string {
  return frame.replace(',"batches":true', '');
}
