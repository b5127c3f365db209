// What the bench uses of autocannon 9, which comes without types.
declare module 'autocannon' {
  export interface Request {
    headers?: Record<string, string>;
    path?: string;
  }

  export interface Client {
    setHeaders(headers: Record<string, string>): void;
    setRequests(requests: readonly object[]): void;
  }

  export interface Options {
    readonly url: string;
    readonly connections: number;
    readonly duration?: number;
    readonly overallRate?: number;
    readonly timeout?: number;
    readonly requests?: readonly object[];
    readonly setupClient?: (client: Client) => void;
  }

  export interface Histogram {
    readonly average: number;
    readonly p50: number;
    readonly p99: number;
    readonly total: number;
  }

  export interface Result {
    readonly duration: number;
    readonly errors: number;
    readonly timeouts: number;
    readonly non2xx: number;
    readonly '2xx': number;
    readonly latency: Histogram;
    readonly requests: Histogram;
    readonly statusCodeStats: Readonly<Record<string, { readonly count: number | string }>>;
  }

  // biome-ignore lint/style/noDefaultExport: it has one
  export default function autocannon(options: Options): Promise<Result>;
}
