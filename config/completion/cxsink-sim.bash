# SPDX-License-Identifier: Apache-2.0
# bash looks for completion in a file of the program's name; this is that of cxsink.
source "${BASH_SOURCE[0]/cxsink-sim/cxsink}"
