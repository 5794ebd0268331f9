/** A native address; 0 is written null. */
export type Pointer = bigint;
/** What a C pointer parameter takes: an address, or the memory of a typed array for the length of the call. */
export type Memory = Pointer | ArrayBufferView | null;

/** How TypeScript sees each C parameter. */
interface ArgumentTypes {
  ptr: Pointer | null;
  memory: Memory;
  int: number;
  float: number;
  size: number;
  int64: number;
  bool: boolean;
  str: string;
  ne: readonly number[];
  u32: number;
  u64: number | bigint;
  i64: number | bigint;
  double: number;
  strings: readonly string[];
}
interface ResultTypes {
  ptr: Pointer | null;
  int: number;
  size: number;
  int64: number;
  bool: boolean;
  str: string;
  void: void;
  float: number;
}
/** How C sees them. */
export const C_TYPES: Record<keyof ArgumentTypes | keyof ResultTypes, string> = {
  ptr: 'void*',
  memory: 'void*',
  int: 'int',
  float: 'float',
  size: 'size_t',
  int64: 'int64_t',
  bool: 'bool',
  str: 'str',
  ne: 'int64_t*',
  u32: 'uint32_t',
  u64: 'uint64_t',
  i64: 'int64_t',
  double: 'double',
  strings: 'const char**',
  void: 'void',
};
/** Result, then parameters. */
export type Signature = readonly [result: keyof ResultTypes, ...args: (keyof ArgumentTypes)[]];
type Arguments<S> = S extends readonly [unknown, ...infer A extends (keyof ArgumentTypes)[]]
  ? { -readonly [I in keyof A]: ArgumentTypes[A[I]] }
  : never;
/** A bound function, and its form that runs on a worker thread. */
export type NativeFunction<S extends Signature> = ((...args: Arguments<S>) => ResultTypes[S[0]]) & {
  async: (...args: [...Arguments<S>, (error: Error | null, result: ResultTypes[S[0]]) => void]) => void;
};

const unary = ['ptr', 'ptr', 'ptr'] as const;
const binary = ['ptr', 'ptr', 'ptr', 'ptr'] as const;

/** Of libggml-base, those that make a tensor in the context that they are given first. */
export const MAKERS = {
  new_tensor_4d: ['ptr', 'ptr', 'int', 'int64', 'int64', 'int64', 'int64'],
  add: binary,
  sub: binary,
  mul: binary,
  div: binary,
  mul_mat: binary,
  scale_bias: ['ptr', 'ptr', 'ptr', 'float', 'float'],
  clamp: ['ptr', 'ptr', 'ptr', 'float', 'float'],
  repeat_4d: ['ptr', 'ptr', 'ptr', 'int64', 'int64', 'int64', 'int64'],
  norm: ['ptr', 'ptr', 'ptr', 'float'],
  rms_norm: ['ptr', 'ptr', 'ptr', 'float'],
  sqr: unary,
  sqrt: unary,
  sin: unary,
  cos: unary,
  log: unary,
  exp: unary,
  neg: unary,
  abs: unary,
  relu: unary,
  elu: unary,
  silu: unary,
  gelu: unary,
  gelu_erf: unary,
  sigmoid: unary,
  tanh: unary,
  softplus: unary,
  swiglu_split: binary,
  geglu_split: binary,
  sum_rows: unary,
  mean: unary,
  soft_max_ext: ['ptr', 'ptr', 'ptr', 'ptr', 'float', 'float'],
  rope_ext: [
    'ptr',
    'ptr',
    'ptr',
    'ptr',
    'ptr',
    'int',
    'int',
    'int',
    'float',
    'float',
    'float',
    'float',
    'float',
    'float',
  ],
  set_rows: ['ptr', 'ptr', 'ptr', 'ptr', 'ptr'],
  get_rows: binary,
  flash_attn_ext: ['ptr', 'ptr', 'ptr', 'ptr', 'ptr', 'ptr', 'float', 'float', 'float'],
  reshape_4d: ['ptr', 'ptr', 'ptr', 'int64', 'int64', 'int64', 'int64'],
  view_4d: ['ptr', 'ptr', 'ptr', 'int64', 'int64', 'int64', 'int64', 'size', 'size', 'size', 'size'],
  permute: ['ptr', 'ptr', 'ptr', 'int', 'int', 'int', 'int'],
  transpose: unary,
  cont: unary,
  cpy: binary,
  cast: ['ptr', 'ptr', 'ptr', 'int'],
  concat: ['ptr', 'ptr', 'ptr', 'ptr', 'int'],
  pad_ext: ['ptr', 'ptr', 'ptr', 'int', 'int', 'int', 'int', 'int', 'int', 'int', 'int'],
  pad_reflect_1d: ['ptr', 'ptr', 'ptr', 'int', 'int'],
  im2col: ['ptr', 'ptr', 'ptr', 'ptr', 'int', 'int', 'int', 'int', 'int', 'int', 'bool', 'int'],
  col2im_1d: ['ptr', 'ptr', 'ptr', 'int', 'int', 'int'],
  conv_transpose_1d: ['ptr', 'ptr', 'ptr', 'ptr', 'int', 'int', 'int'],
  conv_2d_dw_direct: ['ptr', 'ptr', 'ptr', 'ptr', 'int', 'int', 'int', 'int', 'int', 'int'],
  ssm_conv: binary,
} as const satisfies Record<string, readonly ['ptr', 'ptr', ...(keyof ArgumentTypes)[]]>;

/** libggml-base: C name without the `ggml_` prefix, result, parameters. */
export const BASE = {
  ...MAKERS,
  version: ['str'],
  log_set: ['void', 'ptr', 'ptr'],
  type_name: ['str', 'int'],
  type_size: ['size', 'int'],
  blck_size: ['int64', 'int'],
  get_type_traits: ['ptr', 'int'],
  tensor_overhead: ['size'],
  graph_overhead_custom: ['size', 'size', 'bool'],
  free: ['void', 'ptr'],
  get_no_alloc: ['bool', 'ptr'],
  set_no_alloc: ['void', 'ptr', 'bool'],
  new_tensor: ['ptr', 'ptr', 'int', 'int', 'ne'],
  set_name: ['ptr', 'ptr', 'str'],
  set_input: ['void', 'ptr'],
  set_output: ['void', 'ptr'],
  custom_4d: ['ptr', 'ptr', 'int', 'int64', 'int64', 'int64', 'int64', 'memory', 'int', 'ptr', 'int', 'ptr'],

  new_graph_custom: ['ptr', 'ptr', 'size', 'bool'],
  build_forward_expand: ['void', 'ptr', 'ptr'],
  gallocr_new: ['ptr', 'ptr'],
  gallocr_alloc_graph: ['bool', 'ptr', 'ptr'],
  gallocr_get_buffer_size: ['size', 'ptr', 'int'],
  gallocr_free: ['void', 'ptr'],

  backend_name: ['str', 'ptr'],
  backend_free: ['void', 'ptr'],
  backend_get_default_buffer_type: ['ptr', 'ptr'],
  backend_supports_op: ['bool', 'ptr', 'ptr'],
  backend_supports_buft: ['bool', 'ptr', 'ptr'],
  backend_graph_compute: ['int', 'ptr', 'ptr'],
  get_data: ['ptr', 'ptr'],
  backend_tensor_set: ['void', 'ptr', 'memory', 'size', 'size'],
  backend_tensor_get: ['void', 'ptr', 'memory', 'size', 'size'],
  backend_tensor_alloc: ['int', 'ptr', 'ptr', 'ptr'],
  backend_dev_name: ['str', 'ptr'],
  backend_dev_description: ['str', 'ptr'],
  backend_dev_memory: ['void', 'ptr', 'memory', 'memory'],
  backend_dev_type: ['int', 'ptr'],
  backend_dev_init: ['ptr', 'ptr', 'ptr'],
  backend_dev_backend_reg: ['ptr', 'ptr'],
  backend_dev_supports_op: ['bool', 'ptr', 'ptr'],
  backend_reg_get_proc_address: ['ptr', 'ptr', 'str'],
  backend_buft_name: ['str', 'ptr'],
  backend_buft_get_alignment: ['size', 'ptr'],
  backend_buft_get_max_size: ['size', 'ptr'],
  backend_buft_get_alloc_size: ['size', 'ptr', 'ptr'],
  backend_buft_alloc_buffer: ['ptr', 'ptr', 'size'],
  backend_buffer_free: ['void', 'ptr'],
  backend_cpu_buffer_from_ptr: ['ptr', 'ptr', 'size'],
  backend_buffer_get_base: ['ptr', 'ptr'],
  backend_buffer_clear: ['void', 'ptr', 'int'],
  backend_buffer_set_usage: ['void', 'ptr', 'int'],

  quantize_chunk: ['size', 'int', 'memory', 'memory', 'int64', 'int64', 'int64', 'ptr'],
} as const satisfies Record<string, Signature>;

/** libggml: the registry of backends. */
export const REGISTRY = {
  backend_load_all_from_path: ['void', 'str'],
  backend_load: ['ptr', 'str'],
  backend_reg_count: ['size'],
  backend_dev_count: ['size'],
  backend_dev_get: ['ptr', 'size'],
} as const satisfies Record<string, Signature>;

/** Our own library, native/*.c: names without `sled_kernels_`. */
export const KERNELS = {
  supported: ['int', 'int'],
  product_fits: ['int', 'int', 'int64', 'int64'],
  pack: ['void', 'int', 'int64', 'int64', 'memory', 'ptr'],
  attention_fits: ['int', 'int', 'int64', 'int64', 'int64'],
  norm_fits: ['int', 'int64'],
  assemble: ['int', 'memory', 'memory', 'memory', 'memory'],
  helper_wanted: ['int'],
  helper_started: ['void'],
  helper_visits: ['int'],
} as const satisfies Record<string, Signature>;

/** Of the C library: file mapping, what the system is told of memory, and threads. */
export const C_LIBRARY = {
  mmap: ['ptr', 'ptr', 'size', 'int', 'int', 'int', 'int64'],
  munmap: ['int', 'ptr', 'size'],
  madvise: ['int', 'ptr', 'size', 'int'],
  pthread_create: ['int', 'memory', 'ptr', 'ptr', 'ptr'],
} as const satisfies Record<string, Signature>;

/** The gguf_* functions of libggml-base, without that prefix. */
export const GGUF = {
  init_empty: ['ptr'],
  free: ['void', 'ptr'],
  get_data_offset: ['size', 'ptr'],
  get_n_kv: ['int64', 'ptr'],
  get_key: ['str', 'ptr', 'int64'],
  get_kv_type: ['int', 'ptr', 'int64'],
  get_arr_type: ['int', 'ptr', 'int64'],
  get_arr_n: ['size', 'ptr', 'int64'],
  get_arr_data: ['ptr', 'ptr', 'int64'],
  get_arr_str: ['str', 'ptr', 'int64', 'size'],
  get_val_data: ['ptr', 'ptr', 'int64'],
  get_val_str: ['str', 'ptr', 'int64'],
  get_n_tensors: ['int64', 'ptr'],
  get_tensor_name: ['str', 'ptr', 'int64'],
  get_tensor_type: ['int', 'ptr', 'int64'],
  get_tensor_offset: ['size', 'ptr', 'int64'],
  get_tensor_size: ['size', 'ptr', 'int64'],
  set_val_str: ['void', 'ptr', 'str', 'str'],
  set_val_bool: ['void', 'ptr', 'str', 'bool'],
  set_val_u8: ['void', 'ptr', 'str', 'int'],
  set_val_i8: ['void', 'ptr', 'str', 'int'],
  set_val_u16: ['void', 'ptr', 'str', 'int'],
  set_val_i16: ['void', 'ptr', 'str', 'int'],
  set_val_u32: ['void', 'ptr', 'str', 'u32'],
  set_val_i32: ['void', 'ptr', 'str', 'int'],
  set_val_f32: ['void', 'ptr', 'str', 'float'],
  set_val_u64: ['void', 'ptr', 'str', 'u64'],
  set_val_i64: ['void', 'ptr', 'str', 'i64'],
  set_val_f64: ['void', 'ptr', 'str', 'double'],
  set_arr_data: ['void', 'ptr', 'str', 'int', 'memory', 'size'],
  set_arr_str: ['void', 'ptr', 'str', 'strings', 'size'],
  add_tensor: ['void', 'ptr', 'ptr'],
  get_meta_size: ['size', 'ptr'],
  get_meta_data: ['void', 'ptr', 'memory'],
} as const satisfies Record<string, Signature>;
