package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// sums64 are two vectors of float64 sums, of the low and high half of float32
// vectors.
type sums64 [2]VecVirtual

func (v vector) sums64() sums64 { return sums64{v.zero(), v.zero()} }

// halves widens x to float64.
func (v vector) halves(x VecVirtual) (low, high VecVirtual) {
	low, high = v.reg(), v.reg()
	if v.avx512() {
		upper := YMM()
		VCVTPS2PD(x.AsY(), low)
		VEXTRACTF32X8(U8(1), x, upper)
		VCVTPS2PD(upper, high)
	} else {
		upper := XMM()
		VCVTPS2PD(x.AsX(), low)
		VEXTRACTF128(U8(1), x, upper)
		VCVTPS2PD(upper, high)
	}
	return low, high
}

// store64 adds the lanes of x, float64, and stores the sum as a result.
func (v vector) store64(x VecVirtual, result Component) {
	half := XMM()
	if v.avx512() {
		upper := YMM()
		VEXTRACTF64X4(U8(1), x, upper)
		VADDPD(upper, x.AsY(), x.AsY())
	}
	VEXTRACTF128(U8(1), x.AsY(), half)
	VADDPD(half, x.AsX(), x.AsX())
	VPERMILPD(U8(1), x.AsX(), half)
	VADDSD(half, x.AsX(), x.AsX())
	Store(x.AsX(), result)
}

// store32 adds the lanes of x, float32, in float64.
func (v vector) store32(x VecVirtual, result Component) {
	low, high := v.halves(x)
	VADDPD(high, low, low)
	v.store64(low, result)
}

func (v vector) sum() {
	v.routine("sum", "(x []float32) float64")
	sums := v.sums64()
	v.each("x", 2, func(at at) {
		low, high := v.halves(at.load("x"))
		VADDPD(low, sums[0], sums[0])
		VADDPD(high, sums[1], sums[1])
	})
	v.storeSums(sums)
}

func (v vector) sumSquares() {
	v.routine("sumSquares", "(x []float32) float64")
	sums := v.sums64()
	v.each("x", 2, func(at at) { v.addSquare(at.load("x"), sums) })
	v.storeSums(sums)
}

func (v vector) addSquare(x VecVirtual, sums sums64) {
	low, high := v.halves(x)
	VFMADD231PD(low, low, sums[0])
	VFMADD231PD(high, high, sums[1])
}

func (v vector) storeSums(sums sums64) {
	VADDPD(sums[1], sums[0], sums[0])
	v.store64(sums[0], ReturnIndex(0))
	v.end()
}

// fold combines the lanes of x, float32 or 32-bit integers, and returns the
// result as a scalar.
func (v vector) fold(x VecVirtual, combine func(a, b, dst Op)) Register {
	if v.avx512() {
		upper := YMM()
		VEXTRACTF32X8(U8(1), x, upper)
		combine(upper, x.AsY(), x.AsY())
	}
	half := XMM()
	VEXTRACTF128(U8(1), x.AsY(), half)
	combine(half, x.AsX(), x.AsX())
	VPERMILPS(U8(0b1110), x.AsX(), half)
	combine(half, x.AsX(), x.AsX())
	VPERMILPS(U8(1), x.AsX(), half)
	combine(half, x.AsX(), x.AsX())
	return x.AsX()
}

func (v vector) maxAbs() {
	v.routine("maxAbs", "(x []float32) float32")
	largest, absolute := []VecVirtual{v.zero(), v.zero()}, v.bits(0x7fffffff)
	v.each("x", 2, func(at at) {
		x := at.load("x")
		VANDPS(absolute, x, x)
		// As integers NaN is larger than Inf, and Inf than all numbers.
		VPMAXUD(x, largest[at.n], largest[at.n])
	})
	VPMAXUD(largest[1], largest[0], largest[0])
	Store(v.fold(largest[0], func(a, b, dst Op) { VPMAXUD(a, b, dst) }), ReturnIndex(0))
	v.end()
}

func (v vector) max() {
	v.routine("max", "(x []float32) float32")
	lowest := v.inRegister(math.Inf(-1))
	largest := []VecVirtual{v.reg(), v.reg(), v.reg(), v.reg()}
	for _, m := range largest {
		VMOVAPS(lowest, m)
	}
	v.each("x", len(largest), func(at at) { VMAXPS(at.loadOr("x", lowest), largest[at.n], largest[at.n]) })
	for _, m := range largest[1:] {
		VMAXPS(m, largest[0], largest[0])
	}
	Store(v.fold(largest[0], func(a, b, dst Op) { VMAXPS(a, b, dst) }), ReturnIndex(0))
	v.end()
}

func (v vector) sumExp() {
	v.routine("sumExp", "(x []float32, shift float32) float64")
	shift, sum, lowest := v.broadcast("shift"), v.zero(), v.inRegister(math.Inf(-1))
	e := v.exponential()
	v.each("x", 1, func(at at) {
		x := at.loadOr("x", lowest)
		VSUBPS(shift, x, x)
		e.of(x)
		VADDPS(x, sum, sum)
	})
	v.store32(sum, ReturnIndex(0))
	v.end()
}
