package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

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
		v.biased("biasGELUTanh", func(v vector) activation { return geluTanh(v) })
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
		v.dropout(false)
		v.dropout(true)
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

func (v vector) normalize() {
	v.routine("normalize", "(y, x, gain, bias []float32, mean, rstd float32)")
	mean, rstd := v.broadcast("mean"), v.broadcast("rstd")
	v.each("y x gain bias", 2, func(at at) {
		h := at.load("x")
		VSUBPS(mean, h, h)
		VMULPS(rstd, h, h)
		VFMADD213PS(at.load("bias"), at.load("gain"), h)
		at.store(h, "y")
	})
	v.end()
}

func (v vector) normGrad() {
	v.routine("normGrad", "(dx, dsum, dgain, dbias, dy, x, gain []float32, mean, rstd, meanE, meanEH float32)")
	mean, rstd, meanE, meanEH := v.broadcast("mean"), v.broadcast("rstd"), v.broadcast("meanE"), v.broadcast("meanEH")
	v.each("dx dsum dgain dbias dy x gain", 1, func(at at) {
		dy, h, e := at.load("dy"), at.load("x"), at.load("gain")
		dgain, dbias := at.load("dgain"), at.load("dbias")
		VSUBPS(mean, h, h)
		VMULPS(rstd, h, h)
		VFMADD231PS(h, dy, dgain)
		at.store(dgain, "dgain")
		VADDPS(dy, dbias, dbias)
		at.store(dbias, "dbias")
		VFMSUB213PS(meanE, dy, e) // dy gain - meanE
		VFNMADD231PS(meanEH, h, e)
		VFMADD213PS(at.load("dsum"), rstd, e)
		at.store(e, "dx")
	})
	v.end()
}

// adamWPrefetch is how far ahead of its use a line is fetched, in bytes.
const adamWPrefetch = 1024

func (v vector) adamW() {
	v.routine("adamW", "(w, g, m, v []float32, s *float32)")
	address := Load(Param("s"), GP64())
	scalar := map[string]VecVirtual{}
	for i, name := range []string{"decay", "beta1", "omBeta1", "beta2", "omBeta2", "gradScale", "stepSize", "invSqrtBC2", "eps"} {
		scalar[name] = v.reg()
		VBROADCASTSS(Mem{Base: address, Disp: 4 * i}, scalar[name])
	}
	mode := v.flushDenormals()
	unroll := 64 / v.width() // a cache line
	v.each("w g m v", unroll, func(at at) {
		if at.mask == nil && at.disp == 0 {
			for _, s := range []string{"w", "g", "m", "v"} {
				PREFETCHT0(at.address(s).Offset(adamWPrefetch))
			}
		}
		g, m, second := at.load("g"), at.load("m"), at.load("v")
		VMULPS(scalar["gradScale"], g, g)
		VMULPS(scalar["beta1"], m, m)
		VFMADD231PS(scalar["omBeta1"], g, m)
		at.store(m, "m")
		VMULPS(g, g, g)
		VMULPS(scalar["beta2"], second, second)
		VFMADD231PS(scalar["omBeta2"], g, second)
		at.store(second, "v")

		VSQRTPS(second, second)
		VFMADD213PS(scalar["eps"], scalar["invSqrtBC2"], second)
		VDIVPS(second, m, m)
		w := at.load("w")
		VMULPS(scalar["decay"], w, w)
		VFNMADD231PS(scalar["stepSize"], m, w)
		at.store(w, "w")
	})
	LDMXCSR(mode)
	v.end()
}

// flushDenormals makes denormal operands and results 0 until the control word
// at the address that it returns is loaded again. The moments of a parameter
// that gets no gradient, such as the embedding of a token that does not occur,
// decay into denormals, which some processors compute a hundred times slower.
func (v vector) flushDenormals() Mem {
	const flushToZero, denormalsAreZero = 1 << 15, 1 << 6
	old, flushing, control := AllocLocal(4), AllocLocal(4), GP32()
	STMXCSR(old)
	MOVL(old, control)
	ORL(U32(flushToZero|denormalsAreZero), control)
	MOVL(control, flushing)
	LDMXCSR(flushing)
	return old
}
