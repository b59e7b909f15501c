// One line that says how far something is: replaced in a terminal, a line of its own at each change elsewhere.

export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class ProgressLine implements Disposable {
  readonly #output: ProgressOutput;
  #shown = '';

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  show(text: string): void {
    if (text === this.#shown) return;
    const rest = ' '.repeat(Math.max(0, this.#shown.length - text.length));
    this.#output.write(this.#output.isTTY ? `\r${text}${rest}` : `${text}\n`);
    this.#shown = text;
  }

  /** The last line; it stays. */
  end(text: string): void {
    this.show(text);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#output.isTTY && this.#shown !== '') this.#output.write('\n');
    this.#shown = '';
  }
}
