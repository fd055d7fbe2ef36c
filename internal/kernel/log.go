package kernel

import (
	"math"
	"unsafe"
)

// log is the natural logarithm of one element, within 1 ulp.
func log[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(log32(float32(x)))
	}
	return T(math.Log(float64(x)))
}

// log32 is log(x) = k ln 2 + log(m) with m in [sqrt(1/2), sqrt(2)), and log(m) =
// 2 artanh(s), s = (m-1)/(m+1), |s| < 0.172. In float64 the series to s^9 is
// exact to 2e-10 of it.
func log32(x float32) float32 {
	if !(x > 0 && x <= math.MaxFloat32) {
		return float32(math.Log(float64(x)))
	}
	const half = 0x3fe6a09e667f3bcd // bits of sqrt(1/2)
	bits := math.Float64bits(float64(x))
	k := int64(bits-half) >> 52
	m := math.Float64frombits(bits - uint64(k)<<52)
	s := (m - 1) / (m + 1)
	z := s * s
	return float32(float64(k)*math.Ln2 + 2*s*(1+z*(1./3+z*(1./5+z*(1./7+z*(1./9))))))
}
