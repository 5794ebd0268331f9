/* Products for processors with AVX2. */
#include "kernels.h"
#include "vectors-avx2.h"

#define PRODUCT product_avx2
#include "product.h"
