package kernel

import (
	"math"
	"unsafe"
)

// Exp sets dst = e^x. dst may be x. For float32 the error is below 1 ulp in
// Go and 2 ulp in assembly, results below the smallest normal number included.
func Exp[T Float](dst, x []T) {
	checkLen("Exp", len(dst), x)
	loop := loopsOf[T]().exp
	ParallelRange(len(dst), grain, func(lo, hi int) { loop(dst[lo:hi], x[lo:hi]) })
}

func expLoop[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = exp(v)
	}
}

// exp is e^x of one element. The size of T is known when the compiler makes
// the body for it, so no test is left.
func exp[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(exp32(float32(x)))
	}
	return T(math.Exp(float64(x)))
}

// exp32 is e^x = 2^k e^r with |r| <= ln(2)/2. The arithmetic is in float64,
// whose range needs no care for results that are denormal or infinite in
// float32; the Taylor series to r^7 is exact to 6e-9.
func exp32(x float32) float32 {
	const roundToInt = 3 << 51 // adding it leaves no bits for a fraction
	z := float64(x)
	switch {
	case z > 90:
		z = 90
	case z < -110:
		z = -110
	}
	k := float64(z*math.Log2E+roundToInt) - roundToInt
	r := z - k*math.Ln2
	p := 1 + r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120+r*(1./720+r*(1./5040)))))))
	return float32(p * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// sigmoid is 1/(1 + e^-x).
func sigmoid[T Float](x T) T { return 1 / (1 + exp(-x)) }

// sigmoidPair is sigmoid(x) and 1 - sigmoid(x) without cancellation, for x
// whose e^-x does not overflow.
func sigmoidPair[T Float](x T) (s, c T) {
	e := exp(-x)
	s = 1 / (1 + e)
	return s, e * s
}
