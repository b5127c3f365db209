// What does not agree: by which law, where, and whether it has been mended. Names fields and numbers, never what people wrote.
import type { ConvId, Seq, UserId } from '../protocol/ids.ts';

/** What is compared, in the order it is looked at. */
export const LAWS = [
  'files',
  'record',
  'watermark',
  'log',
  'stored',
  'count',
  'heads',
  'keys',
  'changes',
  'references',
  'erased',
  'view',
  'users',
  'marks',
] as const;
export type Law = (typeof LAWS)[number];

export interface Place {
  readonly part?: number;
  readonly conv?: ConvId;
  /** Of a change in its conversation; in a part without a conversation: its offset in the log. */
  readonly seq?: Seq;
  readonly user?: UserId;
}

export interface Finding {
  readonly law: Law;
  readonly place: Place;
  readonly text: string;
  readonly isMended: boolean;
}

/** As one line. */
export function lineOf({ law, place, text, isMended }: Finding): string {
  const { part, conv, seq, user } = place;
  const words = [
    ...(part === undefined ? [] : [`part ${part}`]),
    ...(conv === undefined ? [] : [`conversation ${conv}`]),
    ...(user === undefined ? [] : [`user ${user}`]),
    ...(seq === undefined ? [] : [`change ${seq}`]),
  ];
  return `${[law, words.join(', ')].filter((word) => word !== '').join(': ')}: ${text}${isMended ? ' (mended)' : ''}`;
}

export class Report {
  readonly #onFinding: (finding: Finding) => void;
  readonly #counts = new Map<Law, number>();
  #open = 0;
  #mended = 0;

  constructor(onFinding: (finding: Finding) => void) {
    this.#onFinding = onFinding;
  }

  add(law: Law, place: Place, text: string, isMended = false): void {
    this.#counts.set(law, (this.#counts.get(law) ?? 0) + 1);
    if (isMended) this.#mended++;
    else this.#open++;
    this.#onFinding({ law, place, text, isMended });
  }

  /** Findings that stand. */
  get open(): number {
    return this.#open;
  }

  get mended(): number {
    return this.#mended;
  }

  get counts(): ReadonlyMap<Law, number> {
    return this.#counts;
  }
}
