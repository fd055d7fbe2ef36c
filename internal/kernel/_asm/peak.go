package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// peak writes the routines of package peak.
func peak() {
	for _, t := range []target{singles.avx512(), singles.avx2()} {
		fmaPeak(t)
	}
}

// peakChains is the number of independent chains of multiply-adds: more than
// latency times throughput on any processor, and no more than AVX2's registers.
const peakChains = 15

// fmaPeak keeps the multiply-add units busy from registers alone.
func fmaPeak(t target) {
	TEXT("fma"+t.suffix, NOSPLIT, "func(n int)")
	Doc("fma" + t.suffix + " does n times 15 vector multiply-adds that do not wait for each other.")
	n := Load(Param("n"), RCX)
	factor := t.vec[peakChains]
	VXORPS(t.vec[0], t.vec[0], factor)
	for _, sum := range t.vec[:peakChains] {
		VXORPS(sum, sum, sum)
	}
	loop, done := "loop"+t.suffix, "done"+t.suffix
	TESTQ(n, n)
	JE(LabelRef(done))
	Label(loop)
	for _, sum := range t.vec[:peakChains] {
		t.fma(factor, factor, sum)
	}
	DECQ(n)
	JNE(LabelRef(loop))
	Label(done)
	VZEROUPPER()
	RET()
}
