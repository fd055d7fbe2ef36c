// Command benchmarks measures what training costs: the optimizer's step, the
// matrix product, whole training steps and how they scale, beside Gorgonia's
// own, the limits of the machine, and PyTorch.
//
//	go run ./benchmarks                    # everything but the long cases
//	go run ./benchmarks -list              # what there is
//	go run ./benchmarks -only train_step:124M,gemm
//	go run ./benchmarks -peers -python /path/to/python
//	go run ./benchmarks -markdown          # the tables of RESULTS.md
//
// Everything that is compared runs in the same rounds, turn by turn, and a
// ratio is the median of the ratios of the rounds: a machine that is slower for
// a minute is slower for all of them. Times are medians too. No figure is a
// test; go test only checks that each benchmark runs.
package main
