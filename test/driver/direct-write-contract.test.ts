import { directContract } from './direct-contract.js'

directContract('rw')
