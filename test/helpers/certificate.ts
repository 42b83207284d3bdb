import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { temporaryDirectory } from './temporary-directory.ts'

export interface Certificate {
  keyFile: string
  certFile: string
}

const ADDRESSES = ['127.0.0.1', '::1']

/**
 * Creates files with a self-signed certificate for this machine.
 * @param addresses its addresses in the certificate, beside the name `localhost`.
 */
export async function makeCertificate(
  t: { teardown(end: () => Promise<void>): unknown },
  addresses: readonly string[] = ADDRESSES,
): Promise<Certificate> {
  const directory = await temporaryDirectory(t)
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [{ type: 2, value: 'localhost' }, ...addresses.map((ip) => ({ type: 7, ip }) as const)],
      },
      { name: 'basicConstraints', cA: true },
    ],
  })
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  await Promise.all([writeFile(keyFile, key), writeFile(certFile, cert)])
  return { keyFile, certFile }
}

/** The arguments with which redis-server also listens with TLS, on `port`. */
export function tlsArguments(port: number, { keyFile, certFile }: Certificate): string[] {
  const settings = { port, 'cert-file': certFile, 'key-file': keyFile, 'ca-cert-file': certFile, 'auth-clients': 'no' }
  return Object.entries(settings).flatMap(([name, value]) => [`--tls-${name}`, String(value)])
}
