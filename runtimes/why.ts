/** What a failed system call means, in words. */

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EEXIST: 'it is not a folder',
  ENOTDIR: 'it is not a folder',
  EISDIR: 'it is a folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOENT: 'no such file',
  EADDRNOTAVAIL: 'this machine has no such address',
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'there is no host of that name',
}

/** Why it failed, without codes where the code is known. */
export function whyOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return (code && WHY[code]) || message
}
