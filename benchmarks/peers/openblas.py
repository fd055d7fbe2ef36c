"""sgemm of OpenBLAS, for comparison, called through ctypes: no numpy needed.

usage: openblas.py '{"threads": 2, "case": {"TransA": false, "TransB": true, "M": 256, "N": 768, "K": 768}}'

After a line that says which library and kernels it found, it answers each line
on stdin, a count, with a line of JSON: the seconds of each of that many
products. At the end of its input it exits. The environment variable
OPENBLAS_CORETYPE chooses the kernels.
"""

import ctypes
import ctypes.util
import glob
import json
import sys
import time

ROW_MAJOR, NO_TRANS, TRANS = 101, 111, 112


def load():
    # The OpenMP build first: its threads sleep best between calls.
    names = glob.glob("/usr/lib/*/openblas-openmp/libopenblas.so.0")
    names += glob.glob("/usr/lib/*/openblas-pthread/libopenblas.so.0")
    names += filter(None, [ctypes.util.find_library("openblas")])
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    sys.exit("OpenBLAS is not installed")


def buffer(n):
    """n floats of size about one, none of them zero."""
    array = (ctypes.c_float * n)()
    block = (ctypes.c_float * min(n, 4096))(*(0.5 + (i * 37 % 101) / 101 for i in range(min(n, 4096))))
    for offset in range(0, n, len(block)):
        count = min(len(block), n - offset)
        ctypes.memmove(ctypes.byref(array, 4 * offset), block, 4 * count)
    return array


def main():
    job = json.loads(sys.argv[1])
    blas = load()
    blas.openblas_set_num_threads(job["threads"])
    blas.openblas_get_config.restype = ctypes.c_char_p
    blas.openblas_get_corename.restype = ctypes.c_char_p
    sgemm = blas.cblas_sgemm
    i, f, p = ctypes.c_int, ctypes.c_float, ctypes.POINTER(ctypes.c_float)
    sgemm.argtypes = [i, i, i, i, i, i, f, p, i, p, i, f, p, i]
    sgemm.restype = None

    c = job["case"]
    m, n, k = c["M"], c["N"], c["K"]
    a, b, out = buffer(m * k), buffer(k * n), buffer(m * n)
    trans_a, lda = (TRANS, m) if c["TransA"] else (NO_TRANS, k)
    trans_b, ldb = (TRANS, k) if c["TransB"] else (NO_TRANS, n)
    config = blas.openblas_get_config().decode()
    print(json.dumps({"info": "OpenBLAS " + config.split()[1] + " " + blas.openblas_get_corename().decode()}), flush=True)

    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            sgemm(ROW_MAJOR, trans_a, trans_b, m, n, k, 1, a, lda, b, ldb, 0, out, n)
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
