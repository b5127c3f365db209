// MinIO as the object store: one drive, one bucket, keys of its own.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export const S3_BUCKET = 'chatterbox';

export interface S3Keys {
  readonly key: string;
  readonly secret: string;
}

export function newS3Keys(): S3Keys {
  return { key: `chat${randomBytes(6).toString('hex')}`, secret: randomBytes(20).toString('hex') };
}

/** A bucket is a folder of the drive. */
export function s3Words(port: number, dir: string): readonly string[] {
  const drive = join(dir, 'drive');
  mkdirSync(join(drive, S3_BUCKET), { recursive: true, mode: 0o700 });
  return ['server', '--quiet', '--address', `127.0.0.1:${port}`, drive];
}

export function s3ServerEnv(keys: S3Keys): Readonly<Record<string, string>> {
  return {
    MINIO_ROOT_USER: keys.key,
    MINIO_ROOT_PASSWORD: keys.secret,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
  };
}

export async function isS3Ready(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/minio/health/ready`)).ok;
}

export const s3Url = (port: number) => `http://127.0.0.1:${port}`;
