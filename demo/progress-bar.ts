// One line on a terminal that shows how far things are; nothing when the output is no terminal.

const width = 30;
const drawPeriodMs = 80;

/** A bar for `total` steps of each kind. */
export class ProgressBar {
  readonly #total: number;
  readonly #output: NodeJS.WriteStream;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #read: () => { readonly sent: number; readonly received: number };

  constructor(
    total: number,
    read: () => { readonly sent: number; readonly received: number },
    output: NodeJS.WriteStream = process.stdout,
  ) {
    this.#total = total;
    this.#read = read;
    this.#output = output;
    if (!output.isTTY) return;
    this.#timer = setInterval(() => this.#draw(), drawPeriodMs);
    this.#timer.unref();
  }

  #draw(): void {
    const { sent, received } = this.#read();
    const share = Math.min(1, received / this.#total);
    const full = Math.round(share * width);
    const bar = "█".repeat(full) + "░".repeat(width - full);
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    this.#output.write(`\r${bar} ${percent} %  sent ${sent}  received ${received} \u001b[K`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#output.write("\r\u001b[K");
  }
}
