package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// probe writes the routines of package machine, which measure what a
// processor can do at most.
func probe() {
	for _, t := range []target{singles.avx512(), singles.avx2()} {
		fmaProbe(t)
		streamProbe(t)
	}
}

// probeChains is the number of independent chains of multiply-adds: more than
// latency times throughput on any processor, and no more than AVX2's registers.
const probeChains = 15

// fmaProbe keeps the multiply-add units busy from registers alone.
func fmaProbe(t target) {
	TEXT("fma"+t.suffix, NOSPLIT, "func(n int)")
	Doc("fma" + t.suffix + " does n times 15 vector multiply-adds that do not wait for each other.")
	n := Load(Param("n"), RCX)
	factor := t.vec[probeChains]
	VXORPS(t.vec[0], t.vec[0], factor)
	for _, sum := range t.vec[:probeChains] {
		VXORPS(sum, sum, sum)
	}
	loop, done := "loop"+t.suffix, "done"+t.suffix
	TESTQ(n, n)
	JE(LabelRef(done))
	Label(loop)
	for _, sum := range t.vec[:probeChains] {
		t.fma(factor, factor, sum)
	}
	DECQ(n)
	JNE(LabelRef(loop))
	Label(done)
	VZEROUPPER()
	RET()
}

// streamProbe copies without reading the destination into the cache first.
func streamProbe(t target) {
	TEXT("stream"+t.suffix, NOSPLIT, "func(dst, src *float32, n int)")
	Doc("stream"+t.suffix+" copies n floats, a multiple of 64, with non-temporal stores.",
		"dst is aligned to the width of a vector.")
	dst := Load(Param("dst"), RDI)
	src := Load(Param("src"), RSI)
	n := Load(Param("n"), RCX)
	loop, done := "loop"+t.suffix, "done"+t.suffix
	block := 64 / t.lanes // vectors in 64 floats
	TESTQ(n, n)
	JE(LabelRef(done))
	Label(loop)
	PREFETCHT0(Mem{Base: src, Disp: 1024})
	PREFETCHT0(Mem{Base: src, Disp: 1024 + 64})
	PREFETCHT0(Mem{Base: src, Disp: 1024 + 128})
	PREFETCHT0(Mem{Base: src, Disp: 1024 + 192})
	for i, v := range t.vec[:block] {
		VMOVUPS(Mem{Base: src, Disp: i * t.width()}, v)
	}
	for i, v := range t.vec[:block] {
		VMOVNTPS(v, Mem{Base: dst, Disp: i * t.width()})
	}
	ADDQ(U32(256), src)
	ADDQ(U32(256), dst)
	SUBQ(U32(64), n)
	JNE(LabelRef(loop))
	Label(done)
	SFENCE()
	VZEROUPPER()
	RET()
}
