#include "kinds/kind.h"
