package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

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
