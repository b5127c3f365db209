// Where a run shows itself: lines that stay, and on a terminal one last line that tells how far it is.

const EVERY_MS = 1_000;
/** Of a terminal that does not tell. */
const USUAL_COLUMNS = 80;

export class Screen {
  private readonly status: () => string;
  private readonly timer: NodeJS.Timeout | undefined;

  /** @param status asked for every second */
  constructor(status: () => string) {
    this.status = status;
    if (process.stdout.isTTY) this.timer = setInterval(() => this.draw(), EVERY_MS).unref();
  }

  show(lines: readonly string[], errors = ''): void {
    this.wipe();
    if (errors !== '') process.stderr.write(errors);
    for (const line of lines) process.stdout.write(`${line}\n`);
    this.draw();
  }

  close(): void {
    clearInterval(this.timer);
    this.wipe();
  }

  private draw(): void {
    if (this.timer === undefined) return;
    this.wipe();
    process.stdout.write(this.status().slice(0, (process.stdout.columns || USUAL_COLUMNS) - 1));
  }

  /** Back to the first column, and empty to the end of the line. */
  private wipe(): void {
    if (this.timer !== undefined) process.stdout.write('\r\x1b[K');
  }
}
