package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// polynomial writes y = c[0] + c[1] x + c[2] x^2 + ... by Horner's rule.
type polynomial struct {
	vector
	c []Op
}

func (v vector) polynomial(c ...float64) polynomial {
	p := polynomial{vector: v}
	for _, x := range c {
		p.c = append(p.c, v.constant(x))
	}
	return p
}

func (p polynomial) of(x VecVirtual) VecVirtual {
	y := p.reg()
	last := len(p.c) - 1
	VMOVUPS(p.c[last], y)
	for i := last - 1; i >= 0; i-- {
		VFMADD213PS(p.c[i], x, y)
	}
	return y
}

// exponential writes e^x = 2^k e^r with k the integer nearest to x/ln 2 and
// |r| <= ln(2)/2.
type exponential struct {
	vector
	low, high           VecVirtual // x is clamped to where e^x is 0 and Inf
	log2E, ln2Hi, ln2Lo Op
	series              polynomial
	bias                Op // AVX2: of the float32 exponent
}

func (v vector) exponential() exponential {
	ln2Hi := float64(math.Float32frombits(math.Float32bits(math.Ln2) &^ 0xfff)) // k ln2Hi is exact
	e := exponential{
		vector: v,
		low:    v.inRegister(-104), high: v.inRegister(89),
		log2E: v.constant(math.Log2E), ln2Hi: v.constant(ln2Hi), ln2Lo: v.constant(math.Ln2 - ln2Hi),
		// Least maximal relative error on |r| <= ln(2)/2, 3.1e-9, given the first two.
		series: v.polynomial(1, 1, 0.4999999344413887, 0.16666520562983106,
			0.041668388654530715, 0.008368725367616184, 0.0013814592459135112),
	}
	if !v.avx512() {
		e.bias = word(127)
	}
	return e
}

// of overwrites x, which may be NaN, with e^x.
func (e exponential) of(x VecVirtual) {
	k := e.reg()
	VMINPS(x, e.high, x) // NaN stays: these return their first operand then
	VMAXPS(x, e.low, x)
	VMULPS(e.log2E, x, k)
	if e.avx512() {
		VRNDSCALEPS(U8(0), k, k)
	} else {
		VROUNDPS(U8(0), k, k)
	}
	VFNMADD231PS(e.ln2Hi, k, x)
	VFNMADD231PS(e.ln2Lo, k, x)
	y := e.series.of(x)
	if e.avx512() {
		VSCALEFPS(k, y, x)
		return
	}
	// 2^k may be beyond float32's range where e^x is not, or is Inf or a
	// denormal: scale by 2^(k/2) twice.
	half := e.reg()
	VCVTPS2DQ(k, k)
	VPSRAD(U8(1), k, half)
	VPSUBD(half, k, k)
	for _, part := range []VecVirtual{half, k} {
		VPADDD(e.bias, part, part)
		VPSLLD(U8(23), part, part)
		VMULPS(part, y, y)
	}
	VMOVAPS(y, x)
}

// logistic writes the sigmoid function.
type logistic struct {
	exponential
	one  VecVirtual
	sign Op
}

func (v vector) logistic() logistic {
	return logistic{v.exponential(), v.inRegister(1), v.constant(math.Copysign(0, -1))}
}

// pair returns e^-x and sigmoid(x) = 1/(1 + e^-x). It overwrites x.
func (l logistic) pair(x VecVirtual) (e, s VecVirtual) {
	s = l.reg()
	VXORPS(l.sign, x, x)
	l.exponential.of(x)
	VADDPS(l.one, x, s)
	VDIVPS(s, l.one, s)
	return x, s
}
