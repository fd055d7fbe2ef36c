package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rows is a walk over the rows of matrices of D columns. Matrix x has the
// parameters x and ldx, the distance between its rows.
type rows struct {
	at
	names   []string
	strides map[string]Register // in bytes
	left    Register            // rows
	whole   Register            // elements of a row in whole vectors
	rest    Register            // and beyond
}

// rows begins a walk over matrices, space-separated.
func (v vector) rows(matrices string) rows {
	r := rows{names: strings.Fields(matrices), strides: map[string]Register{},
		left: GP64(), whole: GP64(), rest: GP64()}
	r.at = at{vector: v, slices: map[string]Register{}, index: GP64()}
	for _, name := range r.names {
		r.slices[name] = Load(Param(name).Base(), GP64())
		r.strides[name] = Load(Param("ld"+name), GP64())
		SHLQ(U8(2), r.strides[name])
	}
	Load(Param("rows"), r.left)
	Load(Param("D"), r.whole)
	MOVQ(r.whole, r.rest)
	ANDQ(U8(v.lanes-1), r.rest)
	SUBQ(r.rest, r.whole)
	return r
}

// each writes the loop: before, body for each vector of the row and for the
// lanes left of it, and after.
func (r rows) each(before func(), body func(at), after func()) {
	tail := r.lanesBelow(r.rest)
	Label("row")
	before()
	XORQ(r.index, r.index)
	CMPQ(r.index, r.whole)
	JEQ(LabelRef("tail"))
	Label("column")
	body(r.at)
	ADDQ(U8(r.lanes), r.index)
	CMPQ(r.index, r.whole)
	JNE(LabelRef("column"))
	Label("tail")
	TESTQ(r.rest, r.rest)
	JZ(LabelRef("end"))
	last := r.at
	last.mask = tail
	body(last)
	Label("end")
	after()
	for _, name := range r.names {
		ADDQ(r.strides[name], r.slices[name])
	}
	DECQ(r.left)
	JNE(LabelRef("row"))
}

// copyRows reads ahead: rows of a head are often a page apart, where no
// processor prefetches by itself.
func (v vector) copyRows() {
	v.routine("copyRows", "(dst []float32, lddst int, src []float32, ldsrc, rows, D int)")
	r := v.rows("dst src")
	ahead := GP64()
	r.each(func() {
		LEAQ(Mem{Base: r.slices["src"], Index: r.strides["src"], Scale: 8}, ahead)
	}, func(a at) {
		PREFETCHT0(Mem{Base: ahead, Index: a.index, Scale: 4})
		a.store(a.load("src"), "dst")
	}, func() {})
	v.end()
}

func (v vector) dotRows() {
	v.routine("dotRows", "(dots, a []float32, lda int, b []float32, ldb, rows, D int)")
	r := v.rows("a b")
	dots := Load(Param("dots").Base(), GP64())
	sum := v.reg()
	r.each(func() {
		VXORPS(sum, sum, sum)
	}, func(a at) {
		VFMADD231PS(a.load("a"), a.load("b"), sum)
	}, func() {
		VMOVSS(v.fold(sum, addPS), Mem{Base: dots})
		ADDQ(U8(4), dots)
	})
	v.end()
}

// rotateHalf takes the halves of a row, D elements each, as x and y.
func (v vector) rotateHalf() {
	v.routine("rotateHalf", "(dst []float32, lddst int, src []float32, ldsrc, rows, D int, cos, sin []float32, sign float32)")
	r := v.rows("dst src")
	half := Load(Param("D"), GP64())
	for _, name := range []string{"cos", "sin"} {
		r.slices[name] = Load(Param(name).Base(), GP64())
	}
	for _, name := range r.names {
		r.slices[name+"Y"] = GP64()
	}
	sign := v.broadcast("sign")
	r.each(func() {
		for _, name := range r.names {
			LEAQ(Mem{Base: r.slices[name], Index: half, Scale: 4}, r.slices[name+"Y"])
		}
	}, func(a at) {
		x, y, cos, sin := a.load("src"), a.load("srcY"), a.load("cos"), a.load("sin")
		xSin, ySin := v.reg(), v.reg()
		VMULPS(sign, sin, sin)
		VMULPS(x, sin, xSin)
		VMULPS(y, sin, ySin)
		VFMSUB213PS(ySin, cos, x)
		VFMADD213PS(xSin, cos, y)
		a.store(x, "dst")
		a.store(y, "dstY")
	}, func() {})
	v.end()
}
