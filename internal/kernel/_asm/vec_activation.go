package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// activation writes a function f of one variable and its derivative.
type activation interface {
	value(x VecVirtual) VecVirtual    // returns f(x)
	gradient(x VecVirtual) VecVirtual // returns f'(x), may overwrite x
}

// unary writes y = f(x) and dx = dy f'(x).
func (v vector) unary(name string, f func(vector) activation) {
	v.routine(name, "(y, x []float32)")
	a := f(v)
	v.each("y x", 1, func(at at) { at.store(a.value(at.load("x")), "y") })
	v.end()

	v.routine(name+"Backward", "(dx, x, dy []float32)")
	a = f(v)
	v.each("dx x dy", 1, func(at at) {
		df := a.gradient(at.load("x"))
		VMULPS(at.load("dy"), df, df)
		at.store(df, "dx")
	})
	v.end()
}

// gated writes y = f(gate) up and its gradients.
func (v vector) gated(name string, f func(vector) sigmoidUnit) {
	v.routine(name, "(y, gate, up []float32)")
	a := f(v)
	v.each("y gate up", 1, func(at at) {
		y := a.value(at.load("gate"))
		VMULPS(at.load("up"), y, y)
		at.store(y, "y")
	})
	v.end()

	v.routine(name+"Backward", "(dgate, dup, gate, up, dy []float32)")
	a = f(v)
	v.each("dgate dup gate up dy", 1, func(at at) {
		value, df := a.both(at.load("gate"))
		dy := at.load("dy")
		VMULPS(dy, df, df)
		VMULPS(at.load("up"), df, df)
		VMULPS(dy, value, value)
		at.store(df, "dgate")
		at.store(value, "dup")
	})
	v.end()
}

// sigmoidUnit is f(x) = x sigmoid(z(x)) for z(x) = x, SiLU, or an odd cubic,
// the tanh form of GELU.
type sigmoidUnit struct {
	logistic
	low, high     VecVirtual // x is clamped there for the derivative
	linear, cubic Op         // nil for SiLU
	cubicGrad     Op
}

// The constructors, to be called in a routine, load the constants.

func silu(v vector) sigmoidUnit {
	return sigmoidUnit{logistic: v.logistic(), low: v.inRegister(-87), high: v.inRegister(87)}
}

func geluTanh(v vector) sigmoidUnit {
	linear := math.Sqrt(8 / math.Pi)
	return sigmoidUnit{
		logistic: v.logistic(), low: v.inRegister(-10), high: v.inRegister(10),
		linear: v.constant(linear), cubic: v.constant(0.044715 * linear), cubicGrad: v.constant(3 * 0.044715 * linear),
	}
}

// argument returns z(x).
func (u sigmoidUnit) argument(x VecVirtual) VecVirtual {
	z := u.reg()
	if u.linear == nil {
		VMOVAPS(x, z)
		return z
	}
	VMULPS(x, x, z)
	VMULPS(u.cubic, z, z)
	VADDPS(u.linear, z, z)
	VMULPS(x, z, z)
	return z
}

func (u sigmoidUnit) value(x VecVirtual) VecVirtual {
	_, s := u.pair(u.argument(x))
	VMULPS(x, s, s)
	return s
}

// slope overwrites x with its clamped value and returns s = sigmoid(z(x)) and
// f'(x) = s + x s (1-s) z'(x), where 1-s = e^-z s.
func (u sigmoidUnit) slope(x VecVirtual) (s, df VecVirtual) {
	VMINPS(x, u.high, x)
	VMAXPS(x, u.low, x)
	df, s = u.pair(u.argument(x))
	VMULPS(s, df, df)
	VMULPS(s, df, df)
	if u.linear != nil {
		dz := u.reg()
		VMULPS(x, x, dz)
		VMULPS(u.cubicGrad, dz, dz)
		VADDPS(u.linear, dz, dz)
		VMULPS(dz, df, df)
	}
	VFMADD213PS(s, x, df)
	return s, df
}

func (u sigmoidUnit) gradient(x VecVirtual) VecVirtual {
	_, df := u.slope(x)
	return df
}

// both returns f(x) and f'(x).
func (u sigmoidUnit) both(x VecVirtual) (f, df VecVirtual) {
	f = u.reg()
	VMAXPS(x, u.low, f)
	s, df := u.slope(x)
	VMULPS(s, f, f)
	return f, df
}

// normalUnit is f(x) = x Phi(x), the exact form of GELU. With a = |x| and
// t = 1/(1 + a/4), Phi(-a) = e^(-a^2/2) P(t), and Phi(a) = 1 - Phi(-a).
type normalUnit struct {
	exponential
	absolute, quarter, minusHalf, density Op
	one, low, high                        VecVirtual
	tail                                  polynomial
}

func geluErf(v vector) normalUnit {
	return normalUnit{
		exponential: v.exponential(),
		absolute:    v.bits(0x7fffffff), quarter: v.constant(0.25), minusHalf: v.constant(-0.5),
		density: v.constant(1 / math.Sqrt(2*math.Pi)),
		one:     v.inRegister(1), low: v.inRegister(-40), high: v.inRegister(40),
		// Least maximal error of max(1, a) Phi(-a), 2.8e-9, for P(0) = 0.
		tail: v.polynomial(0, 0.09990386023376695, 0.10434258711267802, 0.048296308750461224,
			0.2439534966970389, -0.23404171742388777, 0.3261332986433576, -0.08858783675580499),
	}
}

// distribution returns e^(-x^2/2) and Phi(x).
func (u normalUnit) distribution(x VecVirtual) (e, phi VecVirtual) {
	e, t, upper := u.reg(), u.reg(), u.reg()
	VMULPS(x, x, e)
	VMULPS(u.minusHalf, e, e)
	u.exponential.of(e)

	VANDPS(u.absolute, x, t)
	VMULPS(u.quarter, t, t)
	VADDPS(u.one, t, t)
	VDIVPS(t, u.one, t)
	lower := u.tail.of(t)
	VMULPS(e, lower, lower)
	VSUBPS(lower, u.one, upper)
	if u.avx512() {
		negative := K()
		VPMOVD2M(x, negative)
		VMOVAPS(lower, negative, upper)
	} else {
		VBLENDVPS(x, lower, upper, upper)
	}
	return e, upper
}

func (u normalUnit) value(x VecVirtual) VecVirtual {
	_, phi := u.distribution(x)
	VMULPS(x, phi, phi)
	return phi
}

// gradient returns Phi(x) + x phi(x), phi the density.
func (u normalUnit) gradient(x VecVirtual) VecVirtual {
	VMINPS(x, u.high, x)
	VMAXPS(x, u.low, x)
	e, phi := u.distribution(x)
	VMULPS(u.density, e, e)
	VFMADD231PS(x, e, phi)
	return phi
}

// softCap writes y = cap tanh(x/cap) by tanh(u) = 1 - 2/(e^2u + 1), whose
// error is absolute, not relative.
func (v vector) softCap() {
	v.routine("softCap", "(y, x []float32, cap float32)")
	limit, e := v.broadcast("cap"), v.exponential()
	one, two, factor := v.inRegister(1), v.inRegister(2), v.reg()
	VDIVPS(limit, two, factor)
	v.each("y x", 1, func(at at) {
		y := at.load("x")
		VMULPS(factor, y, y)
		e.of(y)
		VADDPS(one, y, y)
		VDIVPS(y, two, y)
		VSUBPS(y, one, y)
		VMULPS(limit, y, y)
		at.store(y, "y")
	})
	v.end()
}

// softCapBackward writes dx = dy (1 - (y/cap)^2).
func (v vector) softCapBackward() {
	v.routine("softCapBackward", "(dx, y, dy []float32, cap float32)")
	one, inverse := v.inRegister(1), v.reg()
	VDIVPS(v.broadcast("cap"), one, inverse)
	v.each("dx y dy", 2, func(at at) {
		y := at.load("y")
		VMULPS(inverse, y, y)
		VFNMADD213PS(one, y, y)
		VMULPS(at.load("dy"), y, y)
		at.store(y, "dx")
	})
	v.end()
}
