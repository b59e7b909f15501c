// Shared libraries for tests: ELF files of 64 bits with nothing in them but what they need, and constants.

export interface LibraryParts {
  needed?: readonly string[];
  constants?: string;
}

/** So that an address is not the offset. */
const base = 0x10000;

export function sharedLibrary({ needed = [], constants = '' }: LibraryParts): Buffer {
  const strings = text(['', ...needed].join('\0'));
  const offsets = needed.map((name) => strings.indexOf(`\0${name}\0`) + 1);
  const rodata = Buffer.from(constants, 'latin1');
  const names = text('\0.rodata\0.shstrtab');
  const stringsAt = 64 + 2 * 56;
  const dynamicAt = stringsAt + strings.length;
  const entries = [
    ...offsets.map((offset) => [1, offset]),
    [5, base + stringsAt],
    [10, strings.length],
    [0, 0],
  ];
  const dynamic = words(entries.flat());
  const rodataAt = dynamicAt + dynamic.length;
  const namesAt = rodataAt + rodata.length;
  const sectionsAt = namesAt + names.length;
  const whole = sectionsAt + 3 * 64;
  return Buffer.concat([
    header({ sectionsAt }),
    segment(1, 0, whole),
    segment(2, dynamicAt, dynamic.length),
    strings,
    dynamic,
    rodata,
    names,
    section(0, 0, 0),
    section(1, rodataAt, rodata.length),
    section(1 + '.rodata\0'.length, namesAt, names.length),
  ]);
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1');

function words(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 8 * i);
  return bytes;
}

function header({ sectionsAt }: { sectionsAt: number }): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(3, 16); // a shared object
  bytes.writeUInt16LE(62, 18); // for x86-64
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeBigUInt64LE(BigInt(sectionsAt), 40);
  const sizes = [64, 56, 2, 64, 3, 2];
  for (const [i, size] of sizes.entries()) bytes.writeUInt16LE(size, 52 + 2 * i);
  return bytes;
}

function segment(type: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.writeUInt32LE(type, 0);
  words([offset, base + offset, base + offset, length, length]).copy(bytes, 8);
  return bytes;
}

function section(name: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(name, 0);
  words([offset, length]).copy(bytes, 24);
  return bytes;
}
