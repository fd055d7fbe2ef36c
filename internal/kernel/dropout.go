package kernel

// A dropout mask is a pure function of its key, its counter and the index of
// the element, so the backward pass recomputes it by the same call. The
// elements are taken in groups of 64, which draw on 16 Philox blocks: element
// 64 n + 16 w + j is kept if word w of block 16 n + j is at least p 2^32.
// This order lets 16 lanes make 64 elements without a transposition.
const (
	dropoutGroup = 64
	dropoutLanes = 16
)

// dropoutMask is one mask: the counter of block b is {low(b), high(b), ctr}.
type dropoutMask[T Float] struct {
	key, ctr  [2]uint32
	threshold uint32
	scale     T
}

func newDropoutMask[T Float](p float64, key, ctr [2]uint32) *dropoutMask[T] {
	if !(p >= 0 && p < 1) {
		panic("kernel: dropout probability outside [0,1)")
	}
	return &dropoutMask[T]{key, ctr, uint32(p * (1 << 32)), T(1 / (1 - p))}
}

// Dropout sets each element of y to 0 with probability p, else to x/(1-p)
// (Srivastava et al. 2014). Its backward pass is the same function of dy.
// y may be x.
func Dropout[T Float](y, x []T, p float64, key, ctr [2]uint32) {
	checkLen("Dropout", len(y), x)
	mask := newDropoutMask[T](p, key, ctr)
	loop := loopsOf[T]().dropout
	ParallelRange(len(y), grain, func(lo, hi int) {
		loop(y[lo:hi], x[lo:hi], mask, uint64(lo/dropoutGroup*dropoutLanes))
	})
}

// DropPath drops whole samples, stochastic depth (Huang et al. 2016,
// arXiv:1603.09382): of the len(y)/samples elements of each sample either all
// become 0, with probability p, or all are multiplied by 1/(1-p). Its backward
// pass is the same function of dy. y may be x.
func DropPath[T Float](y, x []T, samples int, p float64, key, ctr [2]uint32) {
	checkLen("DropPath", len(y), x)
	mask := newDropoutMask[T](p, key, ctr)
	size := len(y) / samples
	for s := range samples {
		Scale(row(y, s, size), mask.sample(s), row(x, s, size))
	}
}

// sample is the factor of sample s: the mask's element of that index.
func (d *dropoutMask[T]) sample(s int) T {
	return d.factors(uint64(s / dropoutGroup * dropoutLanes))[s%dropoutGroup]
}

// factors are the 64 factors, 0 or scale, that begin at Philox block first.
func (d *dropoutMask[T]) factors(first uint64) (f [dropoutGroup]T) {
	for j := range dropoutLanes {
		b := first + uint64(j)
		words := Philox(d.key, [4]uint32{uint32(b), uint32(b >> 32), d.ctr[0], d.ctr[1]})
		for w, word := range words {
			if word >= d.threshold {
				f[w*dropoutLanes+j] = d.scale
			}
		}
	}
	return f
}

func dropoutLoop[T Float](y, x []T, d *dropoutMask[T], block uint64) {
	for len(y) > 0 {
		n := min(len(y), dropoutGroup)
		f := d.factors(block)
		for i := range n {
			y[i] = x[i] * f[i]
		}
		y, x, block = y[n:], x[n:], block+dropoutLanes
	}
}
