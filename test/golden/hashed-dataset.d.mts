import type { Dataset } from '../../src/data/sample.js';
import type { SledConfig } from '../../src/model/config.js';

export function hashedDataset(config: SledConfig): Dataset;
