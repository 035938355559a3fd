// Finds serialized file descriptors by file name, by symbol and by extension. Reads of FileDescriptorProto only
// what that needs, when it is first asked.
import { fieldsOf, text, type WireField } from "./wire.ts";

// Field numbers of descriptor.proto.
const file = { package: 2, dependency: 3, message: 4, enum: 5, service: 6, extension: 7 } as const;
const message = { field: 2, nested: 3, enum: 4, extension: 6, oneof: 8 } as const;
const extension = { name: 1, extendee: 2, number: 3 } as const;

interface Index {
  /** File name by symbol. */
  readonly symbols: Map<string, string>;
  /** File name by extended type and number. */
  readonly extensions: Map<string, Map<number, string>>;
}

/** An index over descriptors by file name. */
export class DescriptorIndex {
  readonly #files: ReadonlyMap<string, Uint8Array>;
  #index: Index | undefined;

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
  }

  /** The file and all it imports, itself first; undefined when there is none. */
  byName(name: string): Uint8Array[] | undefined {
    if (!this.#files.has(name)) return undefined;
    const found = new Map<string, Uint8Array>();
    this.#collect(name, found);
    return [...found.values()];
  }

  /** The file that declares a message, enum, service, method or field with this full name. */
  bySymbol(symbol: string): Uint8Array[] | undefined {
    const name = this.#built().symbols.get(symbol);
    return name === undefined ? undefined : this.byName(name);
  }

  byExtension(typeName: string, number: number): Uint8Array[] | undefined {
    const name = this.#built().extensions.get(typeName)?.get(number);
    return name === undefined ? undefined : this.byName(name);
  }

  /** Numbers of the known extensions of a type. */
  extensionNumbers(typeName: string): number[] {
    return [...(this.#built().extensions.get(typeName)?.keys() ?? [])];
  }

  #collect(name: string, found: Map<string, Uint8Array>): void {
    const bytes = this.#files.get(name);
    if (bytes === undefined || found.has(name)) return;
    found.set(name, bytes);
    for (const field of fieldsOf(bytes)) {
      if (field.number === file.dependency) this.#collect(text(field), found);
    }
  }

  #built(): Index {
    this.#index ??= build(this.#files);
    return this.#index;
  }
}

function build(files: ReadonlyMap<string, Uint8Array>): Index {
  const index: Index = { symbols: new Map(), extensions: new Map() };
  for (const [fileName, bytes] of files) new FileScan(index, fileName).scan(bytes);
  return index;
}

/** Enters what one file declares. */
class FileScan {
  readonly #index: Index;
  readonly #fileName: string;

  constructor(index: Index, fileName: string) {
    this.#index = index;
    this.#fileName = fileName;
  }

  scan(bytes: Uint8Array): void {
    const fields = fieldsOf(bytes);
    const scope = fields.find((field) => field.number === file.package);
    const prefix = scope === undefined || scope.bytes.length === 0 ? "" : `${text(scope)}.`;
    for (const field of fields) {
      if (field.number === file.message) this.#message(field, prefix);
      if (field.number === file.enum) this.#declare(field, prefix);
      if (field.number === file.service) this.#withMembers(field, prefix);
      if (field.number === file.extension) this.#extension(field, prefix);
    }
  }

  #message(declared: WireField, prefix: string): void {
    const inner = `${this.#declare(declared, prefix)}.`;
    for (const field of fieldsOf(declared.bytes)) {
      if (field.number === message.nested) this.#message(field, inner);
      if (field.number === message.extension) this.#extension(field, inner);
      const named = [message.field, message.enum, message.oneof].includes(
        field.number as 2 | 4 | 8,
      );
      if (named) this.#declare(field, inner);
    }
  }

  /** A service and its methods. */
  #withMembers(declared: WireField, prefix: string): void {
    const inner = `${this.#declare(declared, prefix)}.`;
    for (const field of fieldsOf(declared.bytes))
      if (field.number === 2) this.#declare(field, inner);
  }

  #extension(declared: WireField, prefix: string): void {
    this.#declare(declared, prefix);
    const fields = fieldsOf(declared.bytes);
    const extendee = fields.find((field) => field.number === extension.extendee);
    const number = fields.find((field) => field.number === extension.number);
    if (extendee === undefined || number === undefined) return;
    const typeName = text(extendee).replace(/^\./, "");
    const numbers = this.#index.extensions.get(typeName) ?? new Map<number, string>();
    numbers.set(number.value, this.#fileName);
    this.#index.extensions.set(typeName, numbers);
  }

  /** Enters the symbol of a declaration, whose field 1 is always its name; gives its full name. */
  #declare(declared: WireField, prefix: string): string {
    const name = fieldsOf(declared.bytes).find((field) => field.number === 1);
    const full = prefix + (name === undefined ? "" : text(name));
    this.#index.symbols.set(full, this.#fileName);
    return full;
  }
}
