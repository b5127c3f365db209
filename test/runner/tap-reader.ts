// Reads the TAP of one file line by line: what failed or was left out, each once with its details, and the totals. A file
// that asserts nothing, or ends in another way than it should, has failed.

const RESULT = /^ *(?<status>(?:not )?ok) \d+(?: - (?<name>.*?))?(?<remark> # .*)?$/;
const SUBTEST = /^ *# Subtest: (?<name>.*)$/;
const TOTALS = /^# \{ total: (?<total>\d+)(?:, pass: (?<pass>\d+))?(?:, fail: (?<fail>\d+))?/;

export class TapReader {
  readonly file: string;
  /** What is to be shown. */
  readonly lines: string[] = [];
  passed = 0;
  failed = 0;
  /** Those left out are counted too. */
  private total = 0;
  /** The names of the tests a line is in, by depth; the file is the first. */
  private path: readonly string[];
  /** What was told last; a failed test that contains it needs no words of its own. */
  private told = '';
  /** The end of the block of details being read, and whether it is shown. */
  private detailsEnd: string | null = null;
  private showDetails = false;

  constructor(file: string) {
    this.file = file;
    this.path = [file];
  }

  readLine(line: string): void {
    const depth = Math.floor(line.search(/\S/) / 4) + 1;
    const subtest = SUBTEST.exec(line)?.groups;
    const result = RESULT.exec(line)?.groups;
    if (this.detailsEnd !== null) this.readDetail(line);
    else if (subtest !== undefined) this.path = [...this.path.slice(0, depth), subtest.name ?? ''];
    else if (result !== undefined) this.readResult(result, depth);
    else if (line.trim() === '---') this.detailsEnd = line.replace('---', '...');
    else if (line.startsWith('Bail out!')) this.lines.push(line);
    else this.readTotals(line);
  }

  /**
   * @param fault how it ended where not with exit code 0
   * @param remark what else its line tells
   */
  end(fault: string | null, remark: string): void {
    const wrong = fault ?? (this.total === 0 ? 'asserts nothing' : null);
    const isGood = wrong === null && this.failed === 0;
    const counts = [`${this.passed} passed`, ...(this.failed > 0 ? [`${this.failed} failed`] : [])];
    // An exit code says nothing that the failed asserts have not said.
    const why = this.failed === 0 && wrong !== null ? [wrong] : [];
    this.lines.push(`${isGood ? 'ok' : 'not ok'} ${this.file} # ${[...why, ...counts, remark].join(', ')}`);
    if (!isGood && this.failed === 0) this.failed = 1;
  }

  private readDetail(line: string): void {
    // Wherever the test stands, its details are indented by two.
    if (this.showDetails) this.lines.push(line.slice((this.detailsEnd?.indexOf('.') ?? 2) - 2));
    if (line === this.detailsEnd) this.detailsEnd = null;
  }

  private readResult(result: Record<string, string | undefined>, depth: number): void {
    const { status = '', name = '', remark = '' } = result;
    const path = [...this.path.slice(0, depth), name].join(' > ');
    const isDone = status === 'ok' && !/# (?:SKIP|TODO)/.test(remark);
    const isTold = this.told.startsWith(`${path} > `);
    this.showDetails = !isDone && !isTold;
    if (isDone || isTold) return;
    this.lines.push(`${status} ${path}${remark}`);
    this.told = path;
  }

  private readTotals(line: string): void {
    const totals = TOTALS.exec(line)?.groups;
    if (totals === undefined) return;
    this.total = Number(totals.total);
    this.passed = Number(totals.pass ?? 0);
    this.failed = Number(totals.fail ?? 0);
  }
}
