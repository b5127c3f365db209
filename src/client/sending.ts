// Own writes on their way, from the moment they are made until the conversation shows them. Their ids are their keys for
// ever, so they may be repeated without being written twice; the outbox keeps them until the server has them.
import type { Refusal } from './refusal.ts';
import type { Requests } from './requests.ts';
import type { Entry, Outbox, Receipt, Sending } from './types.ts';

interface Own extends Sending {
  state: Sending['state'];
  error: Refusal | undefined;
  /** Of the change it became. */
  seq: number;
}

/**
 * @param tell all of them, and which is new, has changed or is no longer pending
 * @param toldOf up to where a conversation has been told; undefined where one is not in it
 */
export function createSendings(
  outbox: Outbox | undefined,
  requests: Requests,
  tell: (list: readonly Sending[], sending: Sending) => void,
  toldOf: (conv: string) => number | undefined,
) {
  /** By id, in the order made. */
  const sendings = new Map<string, Own>();
  const ignore = () => {};

  /** Everything unsent of earlier runs is on its way before anything new. */
  const loaded = load().catch(ignore);

  async function load(): Promise<void> {
    const entries = (await outbox?.load()) ?? [];
    const early = [...sendings];
    sendings.clear();
    for (const entry of entries) add(entry, Promise.resolve());
    for (const [id, sending] of early) sendings.set(id, sending);
  }

  function onSending(sending: Own): void {
    tell([...sendings.values()], sending);
  }

  function send(entry: Entry): Sending {
    const known = sendings.get(entry.id);
    if (known) return known;
    const stored = outbox?.put(entry);
    stored?.catch(ignore);
    return add(entry, loaded, stored);
  }

  function add(request: Entry, begin: Promise<unknown>, stored?: Promise<unknown>): Own {
    const { id, conv } = request;
    const sending: Own = {
      id,
      conv,
      request,
      // An id carries its time (RFC 9562 section 5.7).
      createdAt: Number.parseInt(id.replace('-', ''), 16),
      state: 'waiting',
      error: undefined,
      seq: 0,
      done: begin
        .then(() =>
          sendings.get(id) === sending ? requests.ask<Receipt>(request, stored) : new Promise<never>(ignore),
        )
        .then(
          (receipt) => {
            const { seq = 0 } = receipt;
            sending.state = 'sent';
            sending.seq = seq;
            settle();
            if ((toldOf(conv) ?? seq) >= seq) hide(sending);
            return receipt;
          },
          (refusal) => {
            sending.state = 'refused';
            sending.error = refusal;
            settle();
            throw refusal;
          },
        ),
      discard() {
        requests.cancel(id);
        void release();
        hide(sending);
      },
      retry() {
        hide(sending);
        return send(request);
      },
    };
    const release = () => outbox?.remove(id).catch(ignore);
    const settle = () => {
      void release();
      onSending(sending);
    };
    sending.done.catch(ignore);
    sendings.set(id, sending);
    onSending(sending);
    return sending;
  }

  function hide(sending: Own): void {
    if (sendings.delete(sending.id)) onSending(sending);
  }

  /** The message of this key is known: what is pending is it. */
  function onArrived(key: string | undefined): void {
    const sending = sendings.get(key as string);
    if (sending) hide(sending);
  }

  /** What was acknowledged up to here, or all of it, is pending no more. */
  function onTold(conv: string, upTo = Number.POSITIVE_INFINITY): void {
    for (const sending of sendings.values())
      if (sending.conv === conv && sending.state === 'sent' && sending.seq <= upTo) hide(sending);
  }

  return { loaded, send, onArrived, onTold };
}
