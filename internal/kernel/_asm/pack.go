package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packCopy writes the packing of an operand that is stored k by k: it copies
// width <= two vectors of each of k rows. dst is written up to a whole vector.
func packCopy(t target) {
	TEXT(t.prefix+"packCopy"+t.suffix, NOSPLIT, fmt.Sprintf(
		"func(dst []%[1]s, stride int, src []%[1]s, ld, width, k int)", t.typ))
	Doc(fmt.Sprintf("%s computes dst[i*stride+x] = src[i*ld+x] for i < k, x < width <= %d.",
		t.prefix+"packCopy"+t.suffix, 2*t.lanes))
	Pragma("noescape")

	to, stride, from, ld, count, width := RDI, RDX, RSI, RBX, RAX, R12
	Load(Param("dst").Base(), to)
	t.loadStride("stride", stride)
	Load(Param("src").Base(), from)
	t.loadStride("ld", ld)
	Load(Param("k"), count)
	Load(Param("width"), width)
	CMPQ(width, U32(t.lanes))
	JLE(LabelRef("one"))
	SUBQ(U32(t.lanes), width)
	for _, vectors := range []int{2, 1} {
		name := []string{1: "one", 2: "two"}[vectors]
		Label(name)
		mask := t.lanesBelow(width, K1)
		Label(name + "loop")
		for j := range vectors - 1 {
			t.mov(Mem{Base: from, Disp: j * t.width()}, t.vec[j])
			t.mov(t.vec[j], Mem{Base: to, Disp: j * t.width()})
		}
		last := (vectors - 1) * t.width()
		mask.load(Mem{Base: from, Disp: last}, t.vec[2])
		t.mov(t.vec[2], Mem{Base: to, Disp: last})
		PREFETCHT0(Mem{Base: from, Index: ld, Scale: 8})
		ADDQ(ld, from)
		ADDQ(stride, to)
		DECQ(count)
		JNE(LabelRef(name + "loop"))
		VZEROUPPER()
		RET()
	}
}

// packTranspose writes the packing of an operand that is stored row by row:
// it transposes square blocks of one vector by one vector in registers.
func packTranspose(t target) {
	name := t.prefix + "packTranspose" + t.suffix
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(dst []%[1]s, stride int, src []%[1]s, ld, width, k int)", t.typ))
	Doc(fmt.Sprintf("%s computes dst[i*stride+x] = src[x*ld+i] for i < k, x < width <= %[2]d. It writes all of x < %[2]d.",
		name, t.lanes))
	Pragma("noescape")

	to, stride, from, ld, count, width := RDI, RDX, RSI, RBX, RAX, R8
	row, next := R9, R10
	Load(Param("dst").Base(), to)
	t.loadStride("stride", stride)
	Load(Param("src").Base(), from)
	t.loadStride("ld", ld)
	Load(Param("k"), count)
	Load(Param("width"), width)

	// loadRows loads rows 0..width-1, and the last one again for the rest.
	loadRows := func(load func(from Mem, to VecPhysical)) []VecPhysical {
		MOVQ(from, row)
		for i := range t.lanes {
			load(Mem{Base: row}, t.vec[i])
			if i < t.lanes-1 {
				LEAQ(Mem{Base: row, Index: ld, Scale: 1}, next)
				CMPQ(width, U32(i+1))
				CMOVQGT(next, row)
			}
		}
		return t.transpose()
	}

	SUBQ(U32(t.lanes), count)
	JLT(LabelRef("rest"))
	Label("loop")
	for _, v := range loadRows(func(from Mem, to VecPhysical) { t.mov(from, to) }) {
		t.mov(v, Mem{Base: to})
		ADDQ(stride, to)
	}
	ADDQ(U32(t.width()), from)
	SUBQ(U32(t.lanes), count)
	JGE(LabelRef("loop"))

	Label("rest")
	ADDQ(U32(t.lanes), count)
	JEQ(LabelRef("end"))
	mask := t.lanesBelow(count, K1)
	for _, v := range loadRows(mask.load) {
		t.mov(v, Mem{Base: to})
		ADDQ(stride, to)
		DECQ(count)
		JEQ(LabelRef("end"))
	}
	Label("end")
	VZEROUPPER()
	RET()
}

// loadStride loads a distance in elements and turns it into bytes.
func (t target) loadStride(param string, to GPPhysical) {
	Load(Param(param), to)
	SHLQ(U8(log2(t.size)), to)
}

// transpose transposes the square block in the first vectors: row x to column
// x. It returns where the rows of the result are.
//
// First the elements of neighbouring rows are woven together within each 128
// bit lane, until a lane holds one column of a group of rows. Then the lanes
// of one column are brought together from all groups.
func (t target) transpose() []VecPhysical {
	in, free := t.vec[:t.lanes], t.vec[t.lanes:2*t.lanes]
	if t.size == 4 {
		for x := 0; x < t.lanes; x += 2 {
			VUNPCKLPS(in[x+1], in[x], free[x])
			VUNPCKHPS(in[x+1], in[x], free[x+1])
		}
		for x := 0; x < t.lanes; x += 4 {
			for h := range 2 {
				VUNPCKLPD(free[x+2+h], free[x+h], in[x+2*h])
				VUNPCKHPD(free[x+2+h], free[x+h], in[x+2*h+1])
			}
		}
	} else {
		for x := 0; x < t.lanes; x += 2 {
			VUNPCKLPD(in[x+1], in[x], free[x])
			VUNPCKHPD(in[x+1], in[x], free[x+1])
		}
		in, free = free, in
	}

	group := 16 / t.size // rows of a group = columns in a lane
	out := make([]VecPhysical, t.lanes)
	for c := range group {
		if t.suffix == "AVX2" {
			lower, upper := in[c], in[group+c]
			VPERM2F128(U8(0x20), upper, lower, free[c])
			VPERM2F128(U8(0x31), upper, lower, free[group+c])
			out[c], out[group+c] = free[c], free[group+c]
			continue
		}
		u, v := [4]VecPhysical{}, [4]VecPhysical{}
		for g := range 4 {
			u[g], v[g] = in[g*group+c], free[g*group+c]
		}
		const even, odd = 0x88, 0xdd
		VSHUFF32X4(U8(even), u[1], u[0], v[0])
		VSHUFF32X4(U8(odd), u[1], u[0], v[1])
		VSHUFF32X4(U8(even), u[3], u[2], v[2])
		VSHUFF32X4(U8(odd), u[3], u[2], v[3])
		VSHUFF32X4(U8(even), v[2], v[0], u[0])
		VSHUFF32X4(U8(even), v[3], v[1], u[1])
		VSHUFF32X4(U8(odd), v[2], v[0], u[2])
		VSHUFF32X4(U8(odd), v[3], v[1], u[3])
		for lane := range 4 {
			out[lane*group+c] = u[lane]
		}
	}
	return out
}
