// Command asm writes the assembly of package kernel. Each set of routines has
// a file of its own, so that it is run once per set:
//
//	go run . -routines gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

// sets maps the name of a set of routines to the function that writes it.
var sets = map[string]func(){
	"attention": attention,
	"gemm":      gemm,
	"vec":       vec,
	"probe":     probe,
}

func main() {
	routines := flag.String("routines", "", "the set of routines to write")
	flag.Parse()
	write, known := sets[*routines]
	if !known {
		log.Fatalf("routines = %q is not known", *routines)
	}
	ConstraintExpr("amd64,!purego")
	write()
	Generate()
}
