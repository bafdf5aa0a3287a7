# Requirements: python 3.11, scipy==1.17.1
# Usage: python models_normal.py > ../models_normal.json
# Quantiles and densities of the standard normal, as strings: a JSON reader may be off by one in the last digit.
import json

import scipy
from scipy.stats import norm

p = [10.0**-k for k in (300, 100, 50, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2)]
p += [0.02, 0.0749, 0.075, 0.0751, 0.1, 0.2, 0.25, 0.3, 0.4, 0.45, 0.49, 0.499, 0.5, 0.51]
p += [0.6, 0.75, 0.9, 0.9249, 0.9251, 0.95, 0.975, 0.99, 0.999, 0.9999, 1 - 2.0**-20, 1 - 2.0**-40]
z = [float(norm.ppf(x)) for x in p]
text = lambda values: [repr(float(v)) for v in values]
print(json.dumps(dict(tool=f"scipy {scipy.__version__}", p=text(p), quantile=text(z), density=text(norm.pdf(z))), indent=1))
