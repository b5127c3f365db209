export { type Finding, type Law, lineOf } from './report.ts';
export { type Summary, type VerifyOptions, verify } from './verify.ts';
