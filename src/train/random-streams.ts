/** Names of a run's streams of random numbers beside each other: with the seed and the step they make the keys. */
export const STREAMS = { guidance: 1, noise: 2, dropout: 3 };
