package main

import . "github.com/mmcloughlin/avo/build"

// vec writes the loops of package kernel's struct loops for float32.
func vec() {
	for _, v := range vectors {
		v.add()
		v.scale()
		v.axpy()

		v.sum()
		v.sumSquares()
		v.sumSquaresAbout()
		v.maxAbs()

		v.exp()
		v.unary("geluTanh", func(v vector) activation { return geluTanh(v) })
		v.unary("geluErf", func(v vector) activation { return geluErf(v) })
		v.unary("silu", func(v vector) activation { return silu(v) })
		v.gated("swiglu", silu)
		v.gated("geglu", geluTanh)
		v.softCap()
		v.softCapBackward()

		v.normalize()
		v.normGradSums()
		v.normGrad()

		v.max()
		v.sumExp()
		v.expScale()

		v.adamW()
		v.dropout()
	}
}

func (v vector) add() {
	v.routine("add", "(dst, a, b []float32)")
	v.each("dst a b", 4, func(at at) {
		x := at.load("a")
		VADDPS(at.load("b"), x, x)
		at.store(x, "dst")
	})
	v.end()
}

func (v vector) scale() {
	v.routine("scale", "(dst []float32, alpha float32, x []float32)")
	alpha := v.broadcast("alpha")
	v.each("dst x", 4, func(at at) {
		x := at.load("x")
		VMULPS(alpha, x, x)
		at.store(x, "dst")
	})
	v.end()
}

func (v vector) axpy() {
	v.routine("axpy", "(dst []float32, alpha float32, x []float32)")
	alpha := v.broadcast("alpha")
	v.each("dst x", 4, func(at at) {
		y := at.load("dst")
		VFMADD231PS(at.load("x"), alpha, y)
		at.store(y, "dst")
	})
	v.end()
}

func (v vector) exp() {
	v.routine("exp", "(dst, x []float32)")
	e := v.exponential()
	v.each("dst x", 1, func(at at) {
		x := at.load("x")
		e.of(x)
		at.store(x, "dst")
	})
	v.end()
}

// expScale is the second pass of softmax.
func (v vector) expScale() {
	v.routine("expScale", "(dst, x []float32, shift, scale float32)")
	shift, scale := v.broadcast("shift"), v.broadcast("scale")
	e := v.exponential()
	v.each("dst x", 1, func(at at) {
		x := at.load("x")
		VSUBPS(shift, x, x)
		e.of(x)
		VMULPS(scale, x, x)
		at.store(x, "dst")
	})
	v.end()
}
