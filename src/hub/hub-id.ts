import { HubError } from './errors.js';

/** A repository on the hub, at a revision: a branch, a tag or a commit. */
export interface HubId {
  /** `ORG/NAME` */
  name: string;
  revision: string;
}

const NAME = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
const REVISION = /^[\w][\w.-]*(\/[\w][\w.-]*)*$/;
const DEFAULT_REVISION = 'main';

/**
 * Parses `ORG/NAME` or `ORG/NAME@REVISION`.
 * @returns Undefined for what cannot be a hub id, such as a path.
 * @throws {HubError} for a revision that cannot be one.
 */
export function parseHubId(text: string): HubId | undefined {
  const at = text.indexOf('@');
  const [name, revision] = at < 0 ? [text, DEFAULT_REVISION] : [text.slice(0, at), text.slice(at + 1)];
  if (!NAME.test(name) || name.includes('--') || name.includes('..')) return undefined;
  if (!REVISION.test(revision) || revision.includes('..'))
    throw new HubError(`${name}: expected a branch, tag or commit after @, got '${revision}'`);
  return { name, revision };
}

/** True for a commit's whole hash, which never means anything else. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** How a user writes it. */
export const describeHubId = ({ name, revision }: HubId): string =>
  revision === DEFAULT_REVISION ? name : `${name}@${revision}`;
