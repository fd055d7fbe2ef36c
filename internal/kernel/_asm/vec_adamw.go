package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// adamWPrefetch is how far ahead of its use a line is fetched, in bytes.
const adamWPrefetch = 1024

func (v vector) adamW() {
	v.routine("adamW", "(w, g, m, v []float32, s *float32, mode uint32)")
	address := Load(Param("s"), GP64())
	scalar := map[string]VecVirtual{}
	for i, name := range []string{"decay", "beta1", "omBeta1", "beta2", "omBeta2", "gradScale", "stepSize", "invSqrtBC2", "eps"} {
		scalar[name] = v.reg()
		VBROADCASTSS(Mem{Base: address, Disp: 4 * i}, scalar[name])
	}
	before := v.setMode()
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
	LDMXCSR(before)
	v.end()
}

// setMode sets the bits of the parameter mode in the floating-point control
// word, and returns where the word as it was can be loaded from again.
func (v vector) setMode() Mem {
	before, during, word := AllocLocal(4), AllocLocal(4), GP32()
	STMXCSR(before)
	Load(Param("mode"), word)
	ORL(before, word)
	MOVL(word, during)
	LDMXCSR(during)
	return before
}
