package kernel

//go:generate go -C _asm run . -routines gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -routines vec -out ../vec_amd64.s -stubs ../vec_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -routines attention -out ../attention_amd64.s -stubs ../attention_stubs_amd64.go -pkg kernel
