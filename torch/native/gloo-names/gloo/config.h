// Nothing of this is named by c10d's headers.
#pragma once
