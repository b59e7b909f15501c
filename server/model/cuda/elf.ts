// What a shared library says of itself: which others it needs, and where its constants lie. Reads ELF files of 64 bits,
// little-endian; the bytes come from whoever asks. Source: elf(5).
import { AppError } from '../../../common/errors.ts';

/** Bytes of the file. */
export type Read = (offset: number, length: number) => Promise<Buffer>;

export interface Range {
  readonly offset: number;
  readonly length: number;
}

export interface SharedLibrary {
  /** Names such as libcudart.so.13. */
  readonly needed: readonly string[];
  /** The section .rodata; empty in a file without sections. */
  readonly constants: Range;
}

/** Throws PROVIDER_UNAVAILABLE for a file that is something else. */
export async function readSharedLibrary(read: Read): Promise<SharedLibrary> {
  const header = await read(0, 64);
  if (
    header.length < 64 ||
    header.readUInt32BE(0) !== 0x7f454c46 ||
    header.readUInt16BE(4) !== 0x0201
  )
    throw new AppError('PROVIDER_UNAVAILABLE', 'reading a library: it is no ELF file of 64 bits');
  const table = (at: number, size: number, count: number): Table => ({
    offset: long(header, at),
    size: header.readUInt16LE(size),
    count: header.readUInt16LE(count),
  });
  const segments = (await readTable(read, table(32, 54, 56))).map(segmentOf);
  const sections = (await readTable(read, table(40, 58, 60))).map(sectionOf);
  const names = sections[header.readUInt16LE(62)];
  return {
    needed: await readNeeded(read, segments),
    constants: (names && (await findSection(read, sections, names))) ?? { offset: 0, length: 0 },
  };
}

interface Table {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

async function readTable(read: Read, { offset, size, count }: Table): Promise<Buffer[]> {
  const bytes = await read(offset, size * count);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const long = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));

interface Segment extends Range {
  readonly type: number;
  readonly address: number;
}
const [loaded, dynamic] = [1, 2];

const segmentOf = (bytes: Buffer): Segment => ({
  type: bytes.readUInt32LE(0),
  offset: long(bytes, 8),
  address: long(bytes, 16),
  length: long(bytes, 32),
});

interface Section extends Range {
  readonly name: number;
}

const sectionOf = (bytes: Buffer): Section => ({
  name: bytes.readUInt32LE(0),
  offset: long(bytes, 24),
  length: long(bytes, 32),
});

/** Tags of the dynamic section. */
const tags = { needed: 1, strings: 5, stringBytes: 10 };

async function readNeeded(read: Read, segments: readonly Segment[]): Promise<string[]> {
  const found = segments.find(({ type }) => type === dynamic);
  if (!found) return [];
  const entries = (await readTable(read, { ...found, size: 16, count: found.length / 16 })).map(
    (bytes) => ({ tag: long(bytes, 0), value: long(bytes, 8) }),
  );
  const valueOf = (wanted: number) => entries.find(({ tag }) => tag === wanted)?.value ?? 0;
  const at = offsetOf(valueOf(tags.strings), segments);
  const strings = await read(at, valueOf(tags.stringBytes));
  return entries
    .filter(({ tag }) => tag === tags.needed)
    .map(({ value }) => textAt(strings, value));
}

/** Where in the file the byte lies that is loaded at `address`. */
function offsetOf(address: number, segments: readonly Segment[]): number {
  const home = segments.find(
    (segment) =>
      segment.type === loaded &&
      address >= segment.address &&
      address < segment.address + segment.length,
  );
  return home ? address - home.address + home.offset : address;
}

async function findSection(
  read: Read,
  sections: readonly Section[],
  names: Section,
): Promise<Range | undefined> {
  const texts = await read(names.offset, names.length);
  return sections.find(({ name }) => textAt(texts, name) === '.rodata');
}

const textAt = (bytes: Buffer, at: number): string =>
  bytes.toString('latin1', at, Math.max(at, bytes.indexOf(0, at)));
