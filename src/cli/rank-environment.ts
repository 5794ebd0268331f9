import type { GroupOptions } from '@sled-tts/torch';

type Environment = Readonly<Record<string, string | undefined>>;

/** torchrun's and c10d's. */
const DEFAULT_PORT = 29_500;

/**
 * Who starts processes, and the variables in which it says the rank, the number of ranks, those of this machine, and which
 * of those this is.
 */
const STARTERS = [
  { name: 'torchrun', rank: ['RANK'], size: ['WORLD_SIZE'], here: ['LOCAL_WORLD_SIZE'], local: 'LOCAL_RANK' },
  { name: 'Slurm', rank: ['SLURM_PROCID'], size: ['SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS'], here: [], local: 'SLURM_LOCALID' }, // prettier-ignore
  { name: 'Open MPI', rank: ['OMPI_COMM_WORLD_RANK'], size: ['OMPI_COMM_WORLD_SIZE'], here: ['OMPI_COMM_WORLD_LOCAL_SIZE'], local: 'OMPI_COMM_WORLD_LOCAL_RANK' }, // prettier-ignore
  { name: 'MPI', rank: ['PMI_RANK'], size: ['PMI_SIZE'], here: ['MPI_LOCALNRANKS'], local: 'MPI_LOCALRANKID' },
] as const;

/**
 * The group that torchrun, Slurm or MPI started this process in; undefined for a process alone.
 * @throws {RangeError} when variables are missing or contradict each other
 */
export function groupFromEnvironment(env: Environment, timeoutMs: number): GroupOptions | undefined {
  const found = (names: readonly string[]) => names.find((name) => env[name] !== undefined && env[name] !== '');
  for (const { name, rank, size, here } of STARTERS) {
    const [rankName, sizeName] = [found(rank), found(size)];
    if (!rankName || !sizeName) {
      if (name === 'torchrun' && (rankName || sizeName))
        throw new RangeError(`${rankName ?? sizeName} is set and ${rankName ? size[0] : rank[0]} is not; set both`);
      continue;
    }
    const ranks = { rank: wholeNumber(env, rankName), size: wholeNumber(env, sizeName) };
    if (ranks.size < 1 || ranks.rank >= ranks.size)
      throw new RangeError(`${rankName}=${ranks.rank}: expected less than ${sizeName}=${ranks.size}`);
    if (ranks.size === 1) return undefined;
    const hereName = found(here);
    const isOneMachine = hereName !== undefined && wholeNumber(env, hereName) === ranks.size;
    const attempt = env['TORCHELASTIC_RESTART_COUNT'] ? wholeNumber(env, 'TORCHELASTIC_RESTART_COUNT') : undefined;
    return { ...ranks, address: addressIn(env, isOneMachine), port: portIn(env), timeoutMs, attempt };
  }
  return undefined;
}

/** `cuda` as this process's GPU: that of its number among the processes of its machine. Other names are as given. */
export function deviceOfRank(device: string, env: Environment): string {
  if (device !== 'cuda') return device;
  const local = STARTERS.map((starter) => starter.local).find((name) => env[name] !== undefined && env[name] !== '');
  return `cuda:${local === undefined ? 0 : wholeNumber(env, local)}`;
}

function wholeNumber(env: Environment, name: string): number {
  const value = Number(env[name]);
  if (!Number.isInteger(value) || value < 0)
    throw new RangeError(`${name}: expected a whole number from 0, got '${env[name]}'`);
  return value;
}

function addressIn(env: Environment, isOneMachine: boolean): string {
  if (env['MASTER_ADDR']) return env['MASTER_ADDR'];
  const nodes = env['SLURM_STEP_NODELIST'] ?? env['SLURM_JOB_NODELIST'] ?? env['SLURM_NODELIST'];
  if (nodes) return firstHost(nodes);
  if (isOneMachine) return '127.0.0.1';
  throw new RangeError('MASTER_ADDR is not set: name the host of rank 0, as every rank reaches it');
}

/** Two jobs of Slurm that share a machine get different ports. */
function portIn(env: Environment): number {
  if (env['MASTER_PORT']) {
    const port = wholeNumber(env, 'MASTER_PORT');
    if (port < 1 || port > 65_535) throw new RangeError(`MASTER_PORT: expected 1 … 65535, got ${port}`);
    return port;
  }
  return DEFAULT_PORT + (Number(env['SLURM_JOB_ID'] ?? 0) % 1000);
}

/** `node[07-12,20],other3` -> `node07` */
export function firstHost(nodes: string): string {
  const [, prefix, number = ''] = /^([^[,]+)(?:\[([^\],-]+))?/.exec(nodes) ?? [];
  if (!prefix) throw new RangeError(`cannot read the first host of Slurm's node list '${nodes}'; set MASTER_ADDR`);
  return prefix + number;
}
