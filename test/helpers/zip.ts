import { inflateRawSync } from 'node:zlib';

/**
 * The files of a zip archive and their contents, by its central directory: stored or deflated, below 4 GB and not
 * encrypted. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3
 */
export function unzip(archive: Buffer): Map<string, Buffer> {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  const files = new Map<string, Buffer>();
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const deflated = archive.readUInt16LE(at + 10) === 8;
    const packedBytes = archive.readUInt32LE(at + 20);
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) =>
      archive.readUInt16LE(at + field),
    ) as Sizes;
    const local = archive.readUInt32LE(at + 42);
    const content = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const packed = archive.subarray(content, content + packedBytes);
    files.set(archive.toString('utf8', at + 46, at + 46 + nameBytes), deflated ? inflateRawSync(packed) : packed);
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  return files;
}

type Sizes = [name: number, extra: number, comment: number];
